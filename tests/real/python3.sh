# Python: every object by malloc (PYTHONMALLOC=malloc), in threads and in forked
# workers.
# run: needs=python3 pools=256M
export PYTHONMALLOC=malloc PYTHONHASHSEED=1 PYTHONDONTWRITEBYTECODE=1
cat >program.py <<'END'
import warnings; warnings.simplefilter("ignore")  # fork with threads is the point
import collections, hashlib, json, multiprocessing, os, random, re, threading, zlib

def work(seed):
    r = random.Random(seed)
    words = ["".join(r.choice("abcdefgh ") for _ in range(r.randrange(1, 60))) for _ in range(6000)]
    counts = collections.Counter(w for line in words for w in line.split())
    tree = {str(i): {"n": i, "words": words[i:i + 5], "f": i / 7} for i in range(0, 3000, 3)}
    text = json.dumps(tree, sort_keys=True)
    back = json.loads(text)
    found = re.findall(r"(?:ab|cd)+[e-h]*", " ".join(words))
    number = pow(3, 20000) % (10**400 + 69)
    growing = bytearray()
    for w in words:
        growing += w.encode()
    packed = zlib.compress(bytes(growing), 6)
    h = hashlib.sha256()
    for part in (text, str(sorted(counts.items())), str(len(found)), str(number), str(back == tree)):
        h.update(part.encode())
    h.update(zlib.decompress(packed))
    return h.hexdigest()

def main():
    print("main", work(0))
    results = {}
    def thread(i):
        results[i] = work(i)
    threads = [threading.Thread(target=thread, args=(i,)) for i in range(4)]
    for t in threads: t.start()
    pid = os.fork()                     # with threads running
    if pid == 0:
        os._exit(0 if len(work(9)) == 64 else 1)
    print("forked", os.waitpid(pid, 0)[1])
    for t in threads: t.join()
    print("threads", sorted(results.items()))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("pool", pool.map(work, range(4)))
    lists = [[j for j in range(i % 50)] for i in range(40000)]
    del lists[::2]
    print(sum(map(sum, lists)))

main()
END
under python3 program.py
