# GCC: compiles a large generated file, and the same object comes out.
# run: needs=gcc,perl
perl -e '
    print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n";
    for my $i (1 .. 160) {
        my $last = $i - 1;
        print "struct s$i { int a, b[", $i % 7 + 1, "]; double d; struct s$i *next; };\n";
        print "static int f$i(struct s$i *s, int n) {\n  int sum = n;\n";
        print "  for (int i = 0; i < n; i++) { sum += s->a * (i ^ $i); if (sum % ", $i % 13 + 2, " == 0) s->b[i % ", $i % 7 + 1, "] = sum; }\n";
        print "  switch (sum & 15) {", (map { "case $_: sum = sum * ". ($_ + $i) . " + n; break; " } 0 .. 12), "}\n";
        print "  char text[64]; snprintf(text, sizeof text, \"%d:%d:$i\", sum, n); sum += (int)strlen(text);\n";
        print $i > 1 ? "  struct s$last t; memset(&t, n, sizeof t); return sum > 1000 ? f$last(&t, n - 1) : sum;\n}\n" : "  return sum;\n}\n";
    }
    print "int main(int c, char **v) { struct s160 s; memset(&s, c, sizeof s); printf(\"%d\\n\", f160(&s, atoi(v[1]))); return 0; }\n"' >large.c
under gcc -O1 -g -c large.c -o large.o
objdump -d large.o | sha256sum
under gcc large.o -o large
./large 37
