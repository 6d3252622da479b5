/** Which of the known words was meant? For "did you mean". */

/** How many letters have to be changed, added or dropped to make one word of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, index) => index);
  for (const [i, letter] of Array.from(a).entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(
        Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === b[j] ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function isNear(wanted: string, known: string): boolean {
  return (
    known.includes(wanted) ||
    wanted.includes(known) ||
    distance(wanted, known) <= Math.max(1, Math.floor(wanted.length / 4))
  );
}

/** The known words that come near, five at most. */
export function near(wanted: string, known: readonly string[]): string[] {
  return known.filter(each => isNear(wanted, each)).slice(0, 5);
}

/** `; did you mean hold?`, or nothing. */
export function didYouMean(words: readonly string[]): string {
  return words.length > 0 ? `; did you mean ${words.join(' or ')}?` : '';
}
