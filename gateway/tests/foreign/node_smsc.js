// A vendor on npm's `smpp`. Prints one line of JSON for each event: listening, bind, message, error, close.
// Each message that wants a receipt gets one; the text "mo" asks for a message from a handset.
const smpp = require('smpp');

const say = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + '\n');
let ids = 0;

const deliver = (session, message, id) => {
  if (message.registered_delivery) {
    session.deliver_sm({
      source_addr: message.destination_addr,
      destination_addr: message.source_addr,
      esm_class: 4,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:`,
      receipted_message_id: id,
      message_state: 2,
    });
  }
};

const server = smpp.createServer({}, (session) => {
  session.on('error', (error) => say('error', { error: String(error) }));
  session.on('close', () => say('close'));
  session.on('pdu', (pdu) => {
    switch (pdu.command) {
      case 'bind_transceiver':
      case 'bind_transmitter':
      case 'bind_receiver':
        session.send(pdu.response({ system_id: 'node' }));
        say('bind', { kind: pdu.command });
        break;
      case 'submit_sm':
      case 'data_sm': {
        const id = String(++ids);
        const text = pdu.message_payload || pdu.short_message;
        const message = text && text.message !== undefined ? text.message : text;
        say('message', { command: pdu.command, octets: message ? Buffer.byteLength(message) : 0 });
        session.send(pdu.response({ message_id: id }));
        deliver(session, pdu, id);
        break;
      }
      case 'enquire_link':
      case 'unbind':
        session.send(pdu.response());
        break;
    }
  });
});
server.listen(0, '127.0.0.1', () => say('listening', { port: server.address().port }));
