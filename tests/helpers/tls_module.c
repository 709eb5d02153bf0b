// A module with 8 KiB of dynamic TLS: the loader gets that from malloc, in
// each thread that touches it.
char *touch(int value);

static __thread char block[8192] = {1};

char *touch(int value) {
    block[sizeof block - 1] = (char)value;
    return block;
}
