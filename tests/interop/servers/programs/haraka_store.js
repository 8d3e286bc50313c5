// A plugin of Haraka that decides on recipients and stores what it takes, one file a recipient.
'use strict';
const fs = require('fs');
const path = require('path');
const configuration = JSON.parse(process.env.STORE);
let number = 0;

exports.hook_rcpt = function (next, connection, params) {
    const local = params[0].user;
    const taken = connection.transaction.rcpt_to.length; // the one at hand among them
    if (local === 'nobody') return next(DENY, '5.1.1 nobody of that name');
    if (local === 'late' && fs.existsSync(configuration.closed)) return next(DENYSOFT, '4.7.1 greylisted, come back');
    if (taken > configuration.recipients) return next(DENYSOFT, '4.5.3 Too many recipients');
    next(OK);
};

exports.hook_queue = function (next, connection) {
    const transaction = connection.transaction;
    transaction.message_stream.get_data(content => {
        for (const recipient of transaction.rcpt_to) {
            const folder = path.join(configuration.mail, recipient.user, 'new');
            fs.mkdirSync(folder, { recursive: true });
            const name = `${Date.now()}.${number++}`;
            fs.writeFileSync(path.join(folder, '..', name), content);
            fs.renameSync(path.join(folder, '..', name), path.join(folder, name));
        }
        next(OK, '2.0.0 stored');
    });
};

// What an authenticated client sends is outbound for Haraka.
exports.hook_queue_outbound = exports.hook_queue;
