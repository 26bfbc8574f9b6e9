"""Names that a MicroPython interpreter has in its own table of names, for functions of the linked
firmware: another name costs a charger 11 bytes of heap and more, one of these nothing.

Methods of built-in types and what is in errno, math, struct, time, uctypes and their like, with
asyncio and the network, in 1.25 on the unix, rp2 and esp32 ports. A port that lacks one keeps it
as any other name. None is a built-in function: a global of that name would hide it.
"""

KNOWN = tuple(
    """
AF_INET ARRAY BFINT16 BFINT32 BFINT8 BFUINT16 BFUINT32 BFUINT8 BF_LEN BF_POS BIG_ENDIAN BytesIO
EACCES EADDRINUSE EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EEXIST
EHOSTUNREACH EINPROGRESS EINVAL EIO EISDIR ENOBUFS ENODEV ENOENT ENOMEM ENOTCONN EOPNOTSUPP
EPERM ETIMEDOUT FLOAT32 FLOAT64 INT INT16 INT32 INT64 INT8 IOBase LITTLE_ENDIAN LONG LONGLONG
NATIVE OrderedDict POLLERR POLLHUP POLLIN POLLOUT PTR SHORT SOCK_STREAM SOL_SOCKET StringIO
UINT UINT16 UINT32 UINT64 UINT8 ULONG ULONGLONG USHORT VOID a2b_base64 accept acos acosh add
addressof append appendleft array asin asinh atan atan2 atanh b2a_base64 bind bytearray_at
byteorder bytes_at calcsize ceil center chdir choice clear clock close collect connect copy
copysign cos cosh count crc32 decode degrees deque difference difference_update disable discard
dump dumps e enable encode endswith erf erfc errno exc_info executable exit exp expm1 extend
fabs factorial fileno find floor flush fmod format frexp from_bytes fromhex fromkeys gamma get
getaddrinfo getcwd getrandbits gmtime heap_lock heap_unlock hexlify ilistdir implementation
index inf insert intersection intersection_update ipoll isalpha isclose isdigit isdisjoint
isenabled isfinite isinf islower isnan isspace issubset issuperset isupper items join kbd_intr
keys ldexp lgamma listdir listen load loads localtime log log10 log2 lower lstrip makefile
match maxsize mem_alloc mem_free mem_info mkdir mktime modf modify modules mount namedtuple nan
opt_level pack pack_into partition path pi platform poll pop popitem popleft print_exception
qstr_info radians randint random randrange read readinto readline recv recvfrom register remove
rename replace reverse rfind rindex rmdir rpartition rsplit rstrip schedule search seed seek
send sendto sep setblocking setdefault settimeout sha256 sin sinh sizeof sleep sleep_ms
sleep_us socket sort split splitlines sqrt startswith stat stderr stdin stdout strip struct sub
symmetric_difference symmetric_difference_update tan tanh tau tell threshold throw ticks_add
ticks_cpu ticks_diff ticks_ms ticks_us time to_bytes trunc umount unhexlify uniform union
unlink unpack unpack_from unregister update upper urandom values version version_info write
    """.split()
)
