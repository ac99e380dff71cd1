# The method Reverse of samples/server/examples/grpc.ru by grpcio's own server. Texts have fewer than 128 bytes.

import sys
from concurrent import futures

import grpc


def reverse(request, _context):
    return request[:2] + request[2:].decode()[::-1].encode()


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
methods = {"Reverse": grpc.unary_unary_rpc_method_handler(reverse)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("example.Texts", methods),))
server.add_insecure_port("127.0.0.1:" + sys.argv[1])
server.start()
server.wait_for_termination()
