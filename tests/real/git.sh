# Git: clone, log, blame and gc of a repository that is generated here, always
# the same.
# run: needs=git,perl
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 LC_ALL=C GIT_PAGER=cat TZ=UTC
git init -q --bare -b main made.git
perl -e '
    my $state = 7;
    sub any { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0] }
    my @files = map { [ map { "line $_ " . any(1000000) } 1 .. 120 ] } 1 .. 24;
    for my $commit (1 .. 200) {
        print "commit refs/heads/main\nmark :$commit\ncommitter Some One <one\@example.org> ", 1600000000 + $commit * 3600, " +0000\n";
        my $message = "Change number $commit\n";
        print "data ", length $message, "\n$message";
        print "from :", $commit - 1, "\n" if $commit > 1;
        for (1 .. 1 + any(4)) {
            my $file = any(24);
            $files[$file][any(120)] = "changed in $commit: " . any(1000000) for 1 .. 1 + any(9);
            my $text = join "\n", @{ $files[$file] }, "";
            print "M 100644 inline folder", $file % 5, "/file$file.txt\ndata ", length $text, "\n$text\n";
        }
        print "\n";
    }' | git -C made.git fast-import --quiet

under git clone -q --no-local made.git clone
cd clone
under git log -p --stat | sha256sum
under git log --graph --oneline --all | tail -n 3
under git blame folder1/file6.txt | sha256sum
under git shortlog -sn HEAD
under git diff --stat HEAD~150 HEAD | sha256sum
under git gc -q --prune=now
under git fsck --full --strict
under git count-objects -v | grep -v size
under git checkout -q -b other HEAD~100 && under git merge -q --ff-only main && git ls-tree -r HEAD | sha256sum
under git grep -c 'changed in 1' | sha256sum
under git archive HEAD | sha256sum
