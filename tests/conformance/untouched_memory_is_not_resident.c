// Conformance 3 and 5: calloc(2 GiB) and malloc(2 GiB) touch no pages: memory
// is counted when the program writes it, never before.
// run: pool=no
#include "check.h"

int main(void) {
    free(malloc(100));
    size_t before = resident();
    char *p = (char *)calloc(1, 2 * GIB);
    CHECK(p != NULL);
    CHECK(resident() < before + 4 * MIB, "calloc: %zu MiB resident", (resident() - before) / MIB);
    for (size_t i = 0; i < 2 * GIB; i += 64 * MIB) {
        CHECK(p[i] == 0 && p[i + 4097] == 0);
        p[i] = 1;
    }
    free(p);
    CHECK((p = (char *)malloc(2 * GIB)) != NULL);
    CHECK(resident() < before + 6 * MIB, "malloc: %zu MiB resident", (resident() - before) / MIB);
    p[0] = p[2 * GIB - 1] = 1;
    free(p);
    CHECK(resident() < before + 6 * MIB, "free: %zu MiB resident", (resident() - before) / MIB);

    char *many[64];
    for (int i = 0; i < 64; i++)
        CHECK((many[i] = (char *)calloc(1, 3 * MIB)) != NULL);
    CHECK(resident() < before + 16 * MIB, "64 callocs of 3 MiB: %zu MiB resident",
          (resident() - before) / MIB);
    for (int i = 0; i < 64; i++)
        free(many[i]);
    return 0;
}
