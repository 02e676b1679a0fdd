import type { Description } from '../description.js'

/** How a rule was written: `dnsName("a.test")`. */
export const call = (name: string, ...operands: readonly string[]): string =>
  `${name}(${operands.map((operand) => JSON.stringify(operand)).join(', ')})`

/** The other way round: what {@link call} wrote, as data. Throws for what it did not write. */
export function readCall(written: string): Description {
  const [, name = '', operands = ''] = /^(\w+)\((.*)\)$/s.exec(written) ?? []
  if (name === '') throw new SyntaxError(`${written} is no call`)
  return { kind: name, operands: JSON.parse(`[${operands}]`) }
}
