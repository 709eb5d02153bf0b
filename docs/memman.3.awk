# Makes the man page of the library from README.md and docs/memman.3.in:
#   awk -f docs/memman.3.awk -v VERSION=... -v LIBDIR=... -v INCLUDEDIR=... README.md docs/memman.3.in

# The text as roff, with what stands between backticks in bold.
function roff(text,    parts, count, i, out) {
    gsub(/\\/, "\\e", text)
    count = split(text, parts, "`")
    for (i = 1; i <= count; i++)
        out = out (i % 2 ? parts[i] : "\\fB" parts[i] "\\fR")
    return out
}

# "a text" as "A text.".
function sentence(text) {
    return toupper(substr(text, 1, 1)) substr(text, 2) "."
}

FNR == 1 { file++ }

# README.md: the table of settings, and the lines that a fault ends with.
file == 1 && /^\| key \|/ { table = 1; getline; next }
file == 1 && table && !/^\|/ { table = 0 }
file == 1 && table {
    split(substr($0, 3, length($0) - 4), column, " [|] ")
    settings = settings ".TP\n" roff(column[1] ": " column[2]) "\n" \
        roff(sentence(column[4])) "\n" roff("Default: " column[3] ".") "\n"
}
file == 1 && /^\*\*Misuse\*\*/ { misuse = 1 }
file == 1 && /^```/ { lines = misuse && /text/; if (!lines && fatal != "") misuse = 0; next }
file == 1 && lines { fatal = fatal roff($0) "\n" }

# docs/memman.3.in
file == 2 && $0 == "@SETTINGS@" { printf "%s", settings; next }
file == 2 && $0 == "@FATAL@" { printf "%s", fatal; next }
file == 2 {
    gsub(/@VERSION@/, VERSION)
    gsub(/@LIBDIR@/, LIBDIR)
    gsub(/@INCLUDEDIR@/, INCLUDEDIR)
    print
}
