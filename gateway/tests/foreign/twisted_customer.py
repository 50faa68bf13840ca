"""A customer on `smpp.twisted`: binds of each kind, a short message, long ones in three forms, receipts, and messages from
handsets; a negative answer to data_sm, query_sm. Arguments: host:port, system_id, password, deliveries to wait for.
Prints one line of JSON at its end."""

import contextlib
import json
import os
import sys

from twisted.internet import defer, reactor

from smpp.pdu.operations import DataSM, QuerySM, SubmitSM
from smpp.pdu.pdu_encoding import MessagePayloadEncoder
from smpp.pdu.pdu_types import (
    EsmClass, EsmClassGsmFeatures, EsmClassMode, EsmClassType, RegisteredDelivery, RegisteredDeliveryReceipt,
)
from smpp.twisted.client import SMPPClientReceiver, SMPPClientTransceiver, SMPPClientTransmitter
from smpp.twisted.config import SMPPClientConfig

# The library compares a payload with the length of the parameter that it read last, and refuses to write others.
MessagePayloadEncoder._encode = lambda self, value: value

out = sys.stdout
host, port = sys.argv[1].split(":")
wanted = int(sys.argv[4])
config = SMPPClientConfig(host=host, port=int(port), username=sys.argv[2], password=sys.argv[3])
done = {"bound": [], "accepted": 0, "refused": [], "deliveries": 0, "receipts": 0, "texts": []}
ended = defer.Deferred()


def fail(what):
    print(what, file=sys.stderr, flush=True)
    os._exit(1)


def heard(smpp, pdu):
    done["deliveries"] += 1
    text = pdu.params.get("message_payload") or pdu.params.get("short_message") or b""
    if pdu.params["esm_class"].type == EsmClassType.SMSC_DELIVERY_RECEIPT:
        done["receipts"] += 1
    else:
        done["texts"].append(text.decode("latin-1"))
    if done["deliveries"] == wanted:
        reactor.callLater(0, ended.callback, None)


def submit(**more):
    common = {
        "source_addr": b"12025550100",
        "destination_addr": b"12025550123",
        "registered_delivery": RegisteredDelivery(RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED),
    }
    return SubmitSM(**{**common, **more})


def messages():
    yield submit(short_message=b"hello")
    udhi = EsmClass(EsmClassMode.DEFAULT, EsmClassType.DEFAULT, [EsmClassGsmFeatures.UDHI_INDICATOR_SET])
    for number in (1, 2):
        yield submit(esm_class=udhi, short_message=bytes([5, 0, 3, 7, 2, number]) + b"u" * 100)
    for number in (1, 2):
        yield submit(
            short_message=b"s" * 150, sar_msg_ref_num=7, sar_total_segments=2, sar_segment_seqnum=number)
    yield submit(short_message=b"", message_payload=b"p" * 600)


@defer.inlineCallbacks
def run():
    for kind, client in (("transmitter", SMPPClientTransmitter), ("receiver", SMPPClientReceiver)):
        arguments = (config,) if kind == "transmitter" else (config, heard)
        smpp = yield client(*arguments).connectAndBind()
        done["bound"].append(kind)
        yield smpp.unbindAndDisconnect()
    smpp = yield SMPPClientTransceiver(config, heard).connectAndBind()
    done["bound"].append("transceiver")
    smpp.getDisconnectedDeferred().addCallback(lambda _: fail("the session ended"))
    for message in messages():
        yield smpp.sendDataRequest(message)
        done["accepted"] += 1
    # Refusals whose form ends a session of this library when it is wrong.
    refused = [
        smpp.sendDataRequest(DataSM(source_addr=b"12025550100", destination_addr=b"+")),
        smpp.sendRequest(QuerySM(message_id=b"none", source_addr=b"12025550100"), 10),
    ]
    for request in refused:
        try:
            yield request
            fail("a refusal was expected")
        except Exception as error:
            done["refused"].append(type(error).__name__)
    yield ended
    print(json.dumps(done), file=out, flush=True)
    os._exit(0)


with contextlib.redirect_stdout(sys.stderr):
    run().addErrback(lambda failure: fail(failure.getTraceback()))
    reactor.run()
