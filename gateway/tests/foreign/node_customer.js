// A customer on npm's `smpp`: binds of each kind, a short message, long ones in three forms, receipts, and messages from
// handsets. Arguments: host:port, system_id, password, deliveries to wait for. Prints one line of JSON at its end.
const smpp = require('smpp');

const [address, system_id, password, wanted] = process.argv.slice(2);
const fail = (what) => { process.stderr.write(`${what}\n`); process.exit(1); };
const done = { bound: [], accepted: 0, deliveries: 0, receipts: 0, texts: [] };

const bind = (kind) => new Promise((resolve) => {
  const session = smpp.connect({ url: `smpp://${address}` }, () => {
    session[`bind_${kind}`]({ system_id, password }, (answer) => {
      if (answer.command_status !== 0) fail(`bind_${kind}: ${answer.command_status}`);
      done.bound.push(kind);
      resolve(session);
    });
  });
  session.on('error', (error) => fail(`${kind}: ${error}`));
});
const unbind = (session) => new Promise((resolve) => {
  session.removeAllListeners('error');
  session.on('error', () => {});
  session.unbind(() => { session.close(); resolve(); });
});

(async () => {
  for (const kind of ['transmitter', 'receiver']) await unbind(await bind(kind));
  const session = await bind('transceiver');
  session.on('close', () => fail('the session ended'));
  const ended = new Promise((resolve) => {
    session.on('deliver_sm', (pdu) => {
      session.send(pdu.response());
      done.deliveries += 1;
      const text = pdu.message_payload || pdu.short_message;
      const message = String(text.message !== undefined ? text.message : text);
      if (pdu.esm_class & 4) {
        done.receipts += 1;
      } else {
        done.texts.push(message);
      }
      if (done.deliveries === Number(wanted)) resolve();
    });
  });
  const common = { source_addr: '12025550100', destination_addr: '12025550123', registered_delivery: 1 };
  const parts = [1, 2].map((number) => ({
    esm_class: 0x40,
    short_message: { udh: Buffer.from([0x05, 0x00, 0x03, 0x07, 0x02, number]), message: 'u'.repeat(100) },
  }));
  const sar = [1, 2].map((number) => ({
    short_message: 's'.repeat(150),
    sar_msg_ref_num: 7,
    sar_total_segments: 2,
    sar_segment_seqnum: number,
  }));
  const messages = [{ short_message: 'hello' }, ...parts, ...sar, { message_payload: 'p'.repeat(600) }];
  for (const message of messages) {
    session.submit_sm({ ...common, ...message }, (answer) => {
      if (answer.command_status !== 0) fail(`submit_sm: ${answer.command_status}`);
      done.accepted += 1;
    });
  }
  await ended;
  session.removeAllListeners('close');
  await unbind(session);
  process.stdout.write(JSON.stringify(done) + '\n');
  process.exit(0);
})();
