/** Takes what is left of options once the known ones are out. Its type lets the compiler find one that was forgotten. */
export function refuse(unknown: Record<string, never>): void {
  for (const name of Object.keys(unknown)) throw new TypeError(`unknown option "${name}"`)
}

/** The row of a table, or a TypeError that says which option held the unknown word. A TypeScript enum also lists its numbers. */
export function lookUp<T>(table: Readonly<Record<string, T | string>>, option: string, word: string): T {
  if (!Object.hasOwn(table, word) || /^\d/.test(word)) throw new TypeError(`unknown ${option} "${word}"`)
  return table[word] as T
}
