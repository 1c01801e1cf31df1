# Sends packets: lines of hexadecimal on stdin, "ok" on stdout when one is on its way. "HEX TIMES N" sends it so many times,
# each with other N bytes of chance behind.
#   frame IFACE   Ethernet frames out of an interface
#   tun NAME      IP packets that come in by a tun device, which lives as long as this program
import fcntl
import os
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000

kind, name = sys.argv[1:]
if kind == "frame":
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.bind((name, 0))
    send = link.send
else:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    send = lambda packet: os.write(tun, packet)
print("ok", flush=True)
for line in sys.stdin:
    packet, *flood = line.split()
    times, chance = map(int, flood or (1, 0))
    packet = bytes.fromhex(packet)
    for _ in range(times):
        send(packet + os.urandom(chance))
    print("ok", flush=True)
