# Threads that share a queue of documents in Python: blocks are made in one thread
# and dropped in another, under the interpreter's lock.
import queue
import re
import sys
import threading

documents = int(2200 * float(sys.argv[1]))
inbox = queue.Queue(maxsize=50)
counts = [{} for _ in range(4)]


def read(mine):
    while (document := inbox.get()) is not None:
        for word in re.findall(r"[a-z]+\d+", document):
            mine[word] = mine.get(word, 0) + 1


readers = [threading.Thread(target=read, args=(c,)) for c in counts]
for reader in readers:
    reader.start()
for n in range(documents):
    inbox.put(" ".join("word%d and" % ((n * 31 + k * k) % 9000) for k in range(220)))
for _ in readers:
    inbox.put(None)
for reader in readers:
    reader.join()
print(sum(sum(c.values()) for c in counts))
