# SPDX-License-Identifier: MIT
#
# A client of examples/grpc.ru: makes the calls of one scenario, and prints what it has got as JSON.
#
#     grpc_client.py ADDRESS SCENARIO [CERTIFICATE]
#
# Messages are Google's protobuf, so the example's own is compared with it.

import json
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SIZE = 4 * 1024 * 1024


def message_class():
    file = descriptor_pb2.FileDescriptorProto(name="texts.proto", package="example", syntax="proto3")
    message = file.message_type.add(name="Text")
    message.field.add(name="text", number=1, type=9, label=1)  # string
    message.field.add(name="times", number=2, type=13, label=1)  # uint32
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("example.Text")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


Text = message_class()


def connect(address, certificate, limit=True):
    options = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
    if not limit:
        options.append(("grpc.max_receive_message_length", 2 * SIZE))
    if certificate is None:
        return grpc.insecure_channel(address, options)
    options.append(("grpc.ssl_target_name_override", "server.example"))
    with open(certificate, "rb") as file:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()), options)


class Client:
    def __init__(self, channel):
        def method(kind, name, raw=False):
            serializer = None if raw else Text.SerializeToString
            return kind(f"/example.Texts/{name}", serializer, Text.FromString)

        self.reverse = method(channel.unary_unary, "Reverse")
        self.raw_reverse = method(channel.unary_unary, "Reverse", raw=True)
        self.join = method(channel.stream_unary, "Join")
        self.repeat = method(channel.unary_stream, "Repeat")
        self.upcase = method(channel.stream_stream, "Upcase")
        self.unknown = method(channel.unary_unary, "Unknown")
        self.broken = {name: method(channel.unary_stream, name) for name in ("Raise", "RaiseLater")}


def status(call):
    return [call.code().name, call.details()]


def failure(make):
    """How the call that `make` makes ends."""
    try:
        result = make()
        return ["no error", str(result if isinstance(result, Text) else [one.text for one in result])]
    except grpc.RpcError as error:
        return status(error)


class Typed:
    """Requests that are sent when the test says so."""

    def __init__(self):
        self.ready = threading.Semaphore(0)
        self.texts = []

    def say(self, text):
        self.texts.append(text)
        self.ready.release()

    def __iter__(self):
        return self

    def __next__(self):
        self.ready.acquire()
        text = self.texts.pop(0)
        if text is None:
            raise StopIteration
        return Text(text=text)


def shapes(client):
    texts = ["eins", "zwei", "drei"]
    typed = Typed()
    conversation = client.upcase(typed)
    heard = []
    for text in texts:  # Each is answered before the next one is sent.
        typed.say(text)
        heard.append(next(conversation).text)
    typed.say(None)
    rest = [one.text for one in conversation]
    joined = client.join(Text(text=text) for text in texts)
    return {
        "unary": client.reverse(Text(text="Grüße")).text,
        "empty": client.reverse(Text()).text,
        "client": [joined.text, joined.times],
        "server": [one.text for one in client.repeat(Text(text="x", times=300))],
        "bidirectional": heard + rest,
        "status": status(conversation),
    }


def unused_requests(client):
    """The response ends while the client still sends."""
    typed = Typed()
    conversation = client.upcase(typed)
    typed.say("")
    result = failure(lambda: conversation)
    typed.say("more")
    typed.say(None)
    return {"status": result, "next": client.reverse(Text(text="abc")).text}


def deadlines(client):
    typed = Typed()
    result = {
        "server": failure(lambda: client.repeat(Text(text="x"), timeout=0.5)),
        "client": failure(lambda: client.join(typed, timeout=0.5)),
    }
    typed.say(None)
    result["next"] = client.reverse(Text(text="abc"), timeout=60).text
    return result


def cancel_read(client):
    typed = Typed()
    conversation = client.upcase(typed)
    typed.say("a")
    got = [next(conversation).text]
    conversation.cancel()
    typed.say(None)
    return {"got": got, "status": failure(lambda: conversation), "next": client.reverse(Text(text="abc")).text}


def cancel_write(client):
    stream = client.repeat(Text(text="x" * 1000))
    got = [next(stream).text[0] for _ in range(3)]
    stream.cancel()
    return {"got": got, "status": failure(lambda: stream), "next": client.reverse(Text(text="abc")).text}


def large(client):
    text = "0123456789abcdef" * (SIZE // 16)
    reversed_text = client.reverse(Text(text=text)).text
    joined = client.join(Text(text=text[: SIZE // 2]) for _ in range(2)).text
    shouted = [one.text == text.upper() for one in client.upcase(Text(text=text) for _ in range(2))]
    repeated = [one.text == text for one in client.repeat(Text(text=text, times=3))]
    return {
        "unary": reversed_text == text[::-1],
        "client": joined == text[: SIZE // 2] * 2,
        "bidirectional": shouted,
        "server": repeated,
        "too_large": failure(lambda: client.reverse(Text(text=text * 5))),
    }


def errors(client):
    return {
        "message": failure(lambda: client.repeat(Text(text="100 % “é”\n", times=2000))),
        "unknown": failure(lambda: client.unknown(Text())),
        "garbage": failure(lambda: client.raw_reverse(b"\x0a\xff")),
        "not_utf8": failure(lambda: client.raw_reverse(b"\x0a\x01\xff")),
        "skipped": client.raw_reverse(b"\x1d1234\x21" + b"12345678" + b"\x2a\x01z\x30\x96\x01\x0a\x02ab\x10\x01").text,
        "later": failure(lambda: client.upcase(Text(text=text) for text in ["a", ""])),
    }


def broken(client):
    return {name: failure(lambda: call(Text())) for name, call in client.broken.items()}


def metadata(client):
    sent = (("request-id", "abc 1"), ("trace-bin", bytes(range(256))))
    _, call = client.join.with_call((Text(text="x") for _ in range(2)), metadata=sent)
    initial = dict(call.initial_metadata())
    return {
        "request-id": initial["request-id"],
        "trace-bin": initial["trace-bin"] == bytes(range(256)),
        "trailing": dict(call.trailing_metadata())["texts"],
    }


def many(client):
    typed = Typed()
    conversation = client.upcase(typed)  # open all the time
    calls = [client.reverse.future(Text(text=f"{number:03}")) for number in range(200)]
    joined = [client.join.future(Text(text=str(digit)) for digit in range(10)) for _ in range(20)]
    typed.say("x")
    result = {
        "unary": all(call.result().text == f"{number:03}"[::-1] for number, call in enumerate(calls)),
        "client": all(call.result().text == "0123456789" for call in joined),
        "bidirectional": next(conversation).text,
    }
    typed.say(None)
    result["rest"] = len(list(conversation))
    return result


SCENARIOS = {each.__name__: each for each in (shapes, unused_requests, deadlines, cancel_read, cancel_write, large, errors, broken, metadata, many)}

if __name__ == "__main__":
    address, scenario, certificate = (sys.argv[1:] + [None])[:3]
    with connect(address, certificate, limit=scenario != "large") as opened:
        print(json.dumps(SCENARIOS[scenario](Client(opened))))
