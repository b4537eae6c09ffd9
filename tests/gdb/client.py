"""The remote protocol of gdb, as far as the tests need it."""
import socket
import struct
import time


class Client:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        for _ in range(100):
            try:
                self.s.connect(path)
                break
            except ConnectionRefusedError:      # bound, not listening yet
                time.sleep(0.02)
        self.buf = b''

    def byte(self):
        while not self.buf:
            self.buf = self.s.recv(65536)
            if not self.buf:
                raise EOFError
        c, self.buf = self.buf[:1], self.buf[1:]
        return c

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        self.s.sendall(b'$%s#%02x' % (data, sum(data) & 255))

    def receive(self):
        while self.byte() != b'$':
            pass
        data = b''
        while (c := self.byte()) != b'#':
            data += bytes([self.byte()[0] ^ 0x20]) if c == b'}' else c
        self.byte(), self.byte()
        try:
            self.s.sendall(b'+')
        except BrokenPipeError:         # it answered and left
            pass
        return data.decode('latin-1')

    def ask(self, data):
        self.send(data)
        return self.receive()

    def register(self, n):
        return struct.unpack('<Q', bytes.fromhex(self.ask('p%x' % n)))[0]

    def word(self, addr):
        return struct.unpack('<i', bytes.fromhex(self.ask('m%x,4' % addr)))[0]
