"""A vendor on `smpp.twisted`. Prints one line of JSON for each event: listening, bind, message, close.
Each message that wants a receipt gets one."""

import contextlib
import json
import sys

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from zope.interface import implementer

from smpp.pdu.operations import DeliverSM
from smpp.pdu.pdu_encoding import MessagePayloadEncoder
from smpp.pdu.pdu_types import CommandStatus, EsmClass, EsmClassMode, EsmClassType, MessageState
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse, SMPPServerProtocol
from smpp.twisted.server import IAuthenticatedSMPP, SMPPServerFactory

# The library compares a payload with the length of the parameter that it read last, and refuses to write others.
MessagePayloadEncoder._encode = lambda self, value: value

out = sys.stdout
ids = 0


def say(event, **more):
    print(json.dumps({"event": event, **more}), file=out, flush=True)


def receipt(message, id):
    text = f"id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
    return DeliverSM(
        source_addr=message.params["destination_addr"],
        destination_addr=message.params["source_addr"],
        esm_class=EsmClass(EsmClassMode.DEFAULT, EsmClassType.SMSC_DELIVERY_RECEIPT),
        short_message=text.encode(),
        receipted_message_id=str(id).encode(),
        message_state=MessageState.DELIVERED,
    )


def handle(system_id, smpp, pdu):
    global ids
    ids += 1
    id = ids
    text = pdu.params.get("message_payload") or pdu.params.get("short_message") or b""
    say("message", command=pdu.id.name, octets=len(text))
    wanted = pdu.params["registered_delivery"].receipt.name
    if wanted != "NO_SMSC_DELIVERY_RECEIPT_REQUESTED":
        reactor.callLater(0, lambda: smpp.sendDataRequest(receipt(pdu, id)))
    return DataHandlerResponse(status=CommandStatus.ESME_ROK, message_id=str(id).encode())


@implementer(IRealm)
class Realm:
    def requestAvatar(self, avatar_id, mind, *interfaces):
        return IAuthenticatedSMPP, avatar_id, lambda: None


class Protocol(SMPPServerProtocol):
    def onCorruptConnection(self):
        say("error", error="corrupt")
        super().onCorruptConnection()

    def connectionLost(self, reason):
        say("close")
        super().connectionLost(reason)

    def sendPDU(self, pdu):
        if pdu.id.name.startswith("bind_") and pdu.status == CommandStatus.ESME_ROK:
            say("bind", kind=pdu.id.name)
        if pdu.id.name == "generic_nack":
            say("error", error=str(pdu.status))
        super().sendPDU(pdu)


checker = InMemoryUsernamePasswordDatabaseDontUse()
checker.addUser("gw01", "secret")
config = SMPPServerConfig(msgHandler=handle, systems={"gw01": {"max_bindings": 5}})
factory = SMPPServerFactory(config, auth_portal=Portal(Realm(), [checker]))
factory.protocol = Protocol
port = reactor.listenTCP(0, factory, interface="127.0.0.1")
say("listening", port=port.getHost().port)
# The library prints each time that it reads.
with contextlib.redirect_stdout(sys.stderr):
    reactor.run()
