# ruff: noqa: RUF001, S104 - letters that look like others, and addresses nobody binds
"""Addresses that must not be fetched, in spellings that have fooled others; {port} is where somebody listens.

Nothing here is clever: each line was a hole in some program.
"""

PRIVATE_4 = (
    "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1",
    "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "168.63.129.16", "169.254.0.1",
    "169.254.169.254", "169.254.169.253", "169.254.170.2", "169.254.42.42", "172.16.0.1", "172.17.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "192.168.1.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "250.1.1.1", "255.255.255.255",
)  # fmt: skip

SPELLINGS_4 = (
    "2130706433", "0x7f000001", "0X7F000001", "017700000001", "0177.0.0.1", "0177.0.0.01", "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1", "0x7f.1", "127.1", "127.0.1", "0", "0x0", "00", "0.0", "127.0.0.01", "127.0.0.001",
    "127.000.000.001", "00000177.0.0.1", "0x000000007f.0.0.1", "0b1111111.0.0.1", "127.0.0.0x1", "127.0x1",
    "4294967295", "3232235521", "0xc0a80001", "192.168.257", "192.11010305", "10.1", "012.0.0.1",
    "0xa.0.0.1", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "0251.254.169.254", "169.254.43518",
    "169.16689662", "0xA9.0xFE.0xA9.0xFE", "025177524776", "425.510.425.510", "127.0.0.1.", "127.1.",
    "0x7f.1.", "2130706433.", "1.2.3.4.5", "256.256.256.256", "127.0.0.-1", "+127.0.0.1", "127.0.0.1e0",
    "1e9", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
    "𝟙𝟚𝟟.𝟘.𝟘.𝟙", "⑯⑨。②⑤④。⑯⑨｡②⑤④", "¹²⁷.⁰.⁰.¹", "١٢٧.٠.٠.١", "127.0.0.1\u200b", "127.0.0\u00ad.1",
)  # fmt: skip

SIX = (
    "::", "::1", "::2", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::0001", "0::1",
    "::127.0.0.1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::FFFF:127.0.0.1",
    "0:0:0:0:0:ffff:127.0.0.1", "0:0:0:0:0:ffff:7f00:0001", "::ffff:0:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:0.0.0.0", "::ffff:192.168.0.1", "::ffff:8.8.8.8",
    "::8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254",
    "64:ff9b::192.168.0.1", "64:ff9b::100.64.0.1", "64:ff9b::0.0.0.0", "64:ff9b:1::127.0.0.1",
    "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2002:7f00:0001::1", "2002:a00:1::",
    "2002:a9fe:a9fe::", "2002:c0a8:1::1", "2002:808:808::", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:7f00:1::", "2001:0:0:0:0:0:80ff:fffe", "2001:2::1",
    "2001:10::1", "2001:20::1", "2001:db8::1", "2001:db8:ffff::", "3fff::1", "3fff:fff::1", "100::1",
    "100:0:0:1::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff::1", "fe80::1",
    "fe80::a9fe:a9fe", "febf::1", "fec0::1", "feff::1", "ff02::1", "ff05::1", "ff0e::1", "5f00::1",
    "4000::1", "8000::1", "e000::1", "200::1", "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1",
    "::1%25lo", "::1%lo", "fe80::1%25eth0", "fe80::1%eth0", "::1%251", "::ffff:127.1", "::ffff:0177.0.0.1",
    "1::1::1", "::ffff:256.0.0.1", "::127.0.0.1.", "", "::1\u200b", "：：1",
)  # fmt: skip

NAMES = (
    "localhost", "LOCALHOST", "LocalHost", "localhost.", "localhost..", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "loc\u00adalhost", "localhost.localdomain", "a.localhost", "foo.bar.localhost.", "ip6-localhost",
    "ip6-loopback", "localhost6", "metadata", "metadata.google.internal", "metadata.google.internal.",
    "METADATA.google.INTERNAL", "instance-data", "instance-data.ec2.internal", "kubernetes",
    "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "redis",
    "postgres", "db", "host.docker.internal", "gateway.docker.internal", "printer.local", "router.lan",
    "nas.home", "wiki.corp", "intranet", "wiki.intranet", "box.home.arpa", "1.0.0.127.in-addr.arpa",
    "a.test", "a.invalid", "hidden.onion", "_", "-", ".", "..", "a..b", ".com", "com", "a_.b", "-a.com",
    "a-.com", "exa mple.com", "example.com\u3002127.0.0.1", "xn--a", "127.0.0.1.nip.io:{port}@x.com",
    "loc%61lhost", "%6c%6f%63%61%6c%68%6f%73%74", "%31%32%37.0.0.1", "127%2e0%2e0%2e1",
    "127.0.0.1%00.example.com", "example.com%00127.0.0.1", "[127.0.0.1]", "[localhost]", "{{127.0.0.1}}",
    "127.0.0.1,example.com", "$(hostname)",
)  # fmt: skip

WHOLE = (
    "http://user@127.0.0.1:{port}/", "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.com/", "http://example.com:80@127.0.0.1:{port}/",
    "http://user:password@example.com/", "http://@127.0.0.1:{port}/", "http://a@b@127.0.0.1:{port}/",
    "http://example.com%40127.0.0.1:{port}/", "http://example.com\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/", "http:\\\\127.0.0.1:{port}\\", "http://\\127.0.0.1:{port}/",
    "http:/\\127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/", "http:////127.0.0.1:{port}/", "//127.0.0.1:{port}/", "127.0.0.1:{port}/",
    "localhost:{port}", "/", "", "?", "#", "http://", "https://", "http://:{port}/",
    "http://?@127.0.0.1:{port}/", "http://#@127.0.0.1:{port}/", "http://example.com#@127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}#@example.com/", "http://127.0.0.1:{port}?.example.com",
    "http://127.0.0.1:{port}/#example.com", "http://127.0.0.1:{port};example.com/",
    "http://127.0.0.1:{port}&@example.com/", "http://127.0.0.1 :{port}/", "http:// 127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/ x", "http://127.0.0.1\t:{port}/",
    "ht\ttp://127.0.0.1:{port}/", "http://127.0.0\n.1:{port}/", "http://127.0.0.1\r\n:{port}/",
    "http://127.0.0.1:{port}/\r\nHost: example.com", "http://127.0.0.1:{port}\x00.example.com/",
    "\x01http://127.0.0.1:{port}/", "http://127.0.0.1:{port}\u2028/", "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:0{port}/", "http://127.0.0.1:+{port}/", "http://127.0.0.1:/",
    "http://127.0.0.1:65536/", "http://127.0.0.1:99999/", "http://127.0.0.1:-1/", "http://127.0.0.1:0x50/",
    "http://[::1:{port}/", "http://::1:{port}/", "http://[::1]{port}/", "http://[::1]x:{port}/",
    "http://[[::1]]:{port}/", "http://[::1]:{port}@example.com/", "http://[::1]]:{port}/",
    "http://x[::1]:{port}/", "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x", "dict://127.0.0.1:{port}/", "ldap://127.0.0.1:{port}/",
    "data:text/plain,x", "javascript:alert(1)", "jar:http://127.0.0.1:{port}!/", "netdoc:///etc/passwd",
    "unix:///run/docker.sock", "ws://127.0.0.1:{port}/", "HTTP+UNIX://%2Frun%2Fdocker.sock/",
    "httpx://127.0.0.1:{port}/", "http+http://127.0.0.1:{port}/", "view-source:http://127.0.0.1:{port}/",
    "url:http://127.0.0.1:{port}/", "//example.com@127.0.0.1:{port}/", "\uff48ttp://127.0.0.1:{port}/",
    "hTTp://127.0.0.1:{port}/", "HTTPS://127.0.0.1:{port}/",
)  # fmt: skip

OTHER_PORTS = tuple(
    f"http://93.184.216.34:{port}/"
    for port in (0, 1, 22, 25, 79, 81, 444, 2375, 3306, 5432, 6379, 8080, 9200)
)


def urls() -> list[str]:
    """All of them as URLs."""
    hosts = [*PRIVATE_4, *SPELLINGS_4, *NAMES, *(f"[{six}]" for six in SIX)]
    return [*(f"http://{host}:{{port}}/" for host in hosts), *WHOLE, *OTHER_PORTS]


REBOUND = (
    "127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
    "fd00:ec2::254", "0.0.0.0", "192.168.1.1", "fe80::1", "100.64.0.1", "2002:7f00:1::",
)  # fmt: skip
"""What names of the public internet may be said to be."""
