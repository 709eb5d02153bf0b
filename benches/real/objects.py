# Objects, dictionaries, strings and JSON, as Python programs make them by the
# million. Run with PYTHONMALLOC=malloc, so that every object reaches malloc.
import json
import sys

scale = float(sys.argv[1])
seed = 1


def random(limit):
    global seed
    seed = (seed * 1103515245 + 12345) % 2147483648
    return (seed >> 8) % limit


class Account:
    def __init__(self, number, owner):
        self.number = number
        self.owner = owner
        self.entries = []


accounts = {}
for step in range(int(110000 * scale)):
    number = random(5000)
    if number not in accounts:
        accounts[number] = Account(number, "owner %d of many" % number)
    entries = accounts[number].entries
    entries.append({"step": step, "amount": step * 0.25, "text": "entry-" + str(step)})
    if len(entries) > 12:
        del entries[:6]

text = json.dumps({str(a.number): [a.owner, a.entries] for a in accounts.values()})
total = 0
for _ in range(max(1, int(3 * scale))):
    total += sum(len(entries) for _, entries in json.loads(text).values())
words = sorted({word for word in text.split() if word.isalnum()})
print(len(text), total, len(words))
