// A server made of nodemailer's smtp-server: run with its configuration as JSON.
'use strict';
const fs = require('fs');
const path = require('path');
const { SMTPServer } = require('smtp-server');
const configuration = JSON.parse(process.argv[2]);
const pem = fs.readFileSync(configuration.pem);
let number = 0;

function refused(code, text) {
    const error = new Error(text);
    error.responseCode = code;
    return error;
}

for (const secure of [false, true]) {
    const server = new SMTPServer({
        name: 'nodemailer.example',
        secure,
        key: pem,
        cert: pem,
        maxVersion: configuration.limited ? 'TLSv1.2' : undefined,
        authOptional: true,
        size: configuration.size,
        socketTimeout: configuration.idle * 1000,
        disableReverseLookup: true,
        onAuth(auth, session, callback) {
            const good = auth.username === configuration.user && auth.password === configuration.password;
            callback(good ? null : refused(535, '5.7.8 no'), { user: auth.username });
        },
        onRcptTo(address, session, callback) {
            const local = address.address.slice(0, address.address.lastIndexOf('@'));
            if (local === 'nobody') return callback(refused(550, '5.1.1 nobody of that name'));
            if (local === 'late' && fs.existsSync(configuration.closed)) return callback(refused(451, '4.7.1 greylisted, come back'));
            if (session.envelope.rcptTo.length >= configuration.recipients) return callback(refused(452, '4.5.3 Too many recipients'));
            callback();
        },
        onData(stream, session, callback) {
            const parts = [];
            stream.on('data', part => parts.push(part));
            stream.on('end', () => {
                if (stream.sizeExceeded) return callback(refused(552, '5.3.4 too large'));
                for (const recipient of session.envelope.rcptTo) {
                    const local = recipient.address.slice(0, recipient.address.lastIndexOf('@'));
                    const folder = path.join(configuration.mail, local, 'new');
                    fs.mkdirSync(folder, { recursive: true });
                    const name = `${Date.now()}.${number++}`;
                    fs.writeFileSync(path.join(folder, '..', name), Buffer.concat(parts));
                    fs.renameSync(path.join(folder, '..', name), path.join(folder, name));
                }
                callback(null, '2.0.0 stored');
            });
        },
    });
    server.on('error', error => console.log(String(error)));
    server.listen(secure ? configuration.implicit : configuration.port, configuration.address);
}
