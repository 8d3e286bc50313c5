"""What went wrong for users of other mail servers, as tests: each row of `REPORTS` is a public report and the test that shows the right
behaviour here. Most run one whole attempt against real servers on loopback (`house.CaseTest`).
"""

REPORTS = {
    "A1 foxcpp/maddy#287": "tests.cases.test_dane.DANECases.test_a01_tlsa_of_an_unsigned_host",
    "A2 KumoCorp/kumomta#543": "tests.cases.test_dane.DANECases.test_a02_failed_lookup_is_no_denial",
    "A3 Snawoot/postfix-mta-sts-resolver#67": "tests.cases.test_dane.DANECases.test_a03_sts_cannot_rescue_dane",
    "A4 Zuplu/postfix-tlspol#91": "tests.cases.test_sts.STSCases.test_a04_certificate_of_the_mx_itself",
    "A5 Zuplu/postfix-tlspol#8": "tests.cases.test_dane.DANECases.test_a05_insecure_mx",
    "A6 Zuplu/postfix-tlspol#95": "tests.cases.test_sts.STSCases.test_a06_misspelt_mx",
    "A7 Zuplu/postfix-tlspol#172": "tests.dns.test_routing.UnusableHostTests.test_a7_first_does_not_exist",
    "A8 Zuplu/postfix-tlspol#139": "tests.mtasts.test_store.DiscoveryTests.test_a08_new_id",
    "A9 zone-eu/zone-mta#410": "tests.cases.test_sts.STSCases.test_a09_smtp_route",
    "A10 mjl-/mox#365": "tests.cases.test_sts.STSCases.test_a10_starttls_502",
    "A11 foxcpp/maddy#301": "tests.queue.test_notices.NoticeTests.test_a11_delay_is_told_once",
    "A12 foxcpp/maddy#328": "tests.queue.test_reports.ExactlyOnceTests.test_a12_one_recipient",
    "A13 foxcpp/maddy#227": "tests.cases.test_smtp.SMTPCases.test_a13_null_reverse_path",
    "A14 haraka/Haraka#3553": "tests.cases.test_smtp.SMTPCases.test_a14_old_tls",
    "A15 haraka/Haraka#3175": "tests.queue.test_scan.CorruptTests.test_a15_broken_files",
    "A16 haraka/Haraka#2222": "tests.cases.test_smtp.SMTPCases.test_a16_421_within_data",
    "A17 albertito/chasquid#78": "tests.queue.test_commit.BatchTests.test_a17_durable_before_reply",
    "A18 aio-libs/aiosmtpd#380": "tests.smtp.test_server.StartTLSTests.test_commands_behind_it_never_run",
    "A19 emersion/go-smtp#243": "tests.smtp.test_smuggling.SmugglingTests.test_refused",
    "A22 PS.MTA-STS#33": "tests.mtasts.test_match.MatchTests.test_a22_one_label_only",
    "A23 stalwartlabs/stalwart#61": "tests.cases.test_smtp.SMTPCases.test_a23_handshake_eof",
    "A24 Mailu/Mailu#2028": "tests.cases.test_sts.STSCases.test_a24_switched_off_for_one_domain",
    "A25 OpenSMTPD/OpenSMTPD#470": "tests.dns.test_routing.LoopTests.test_a25_own_name",
    "A26 Snawoot/postfix-mta-sts-resolver#66": "tests.cases.test_sts.STSCases.test_a26_server_name",
    "A27 foxcpp/maddy#845": "tests.deliver.test_routes.RouterTests.test_a27_unknown_hop",
    "A28 foxcpp/maddy#631": "tests.dns.test_routing.OrderTests.test_a28_ipv6_only",
    "A29 viridIT/vSMTP#424": "tests.queue.test_spool.OutcomeTests.test_a29_delivered",
    "A30 zone-eu/zone-mta#425": "tests.mtasts.test_cache.CacheTests.test_a30_damaged",
}
