import { hash } from 'node:crypto'

/** Data as JSON has it; a member that is undefined is left out. */
export type Plain = string | number | boolean | null | undefined | readonly Plain[] | { readonly [name: string]: Plain }

/**
 * How something was configured, as data for operators: never a secret, never a client's name. `authenticator.describe()` shows it, and hashes it but
 * for what is for people: members named `where` (paths, labels, names of functions) and `because` (reasons). The order of a list is no part of the
 * hash either, unless its name is `inOrder`. What changes by itself, as times and counters do, has no place in it.
 *
 * @example
 * { kind: 'our database', table: 'revoked', where: { host: 'db1.internal' } }
 */
export interface Description {
  /** Who says it: the function it was made with. */
  readonly kind: string
  readonly [name: string]: Plain
}

const forPeople: ReadonlySet<string> = new Set(['where', 'because'])

/** The text that is hashed: the same for whatever means the same, in whichever order it was written. Of data as JSON has it. */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).sort().join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  const members = Object.entries(value).filter(([name, member]) => member !== undefined && !forPeople.has(name))
  const texts = members.map(([name, member]) => {
    const isOrdered = name === 'inOrder' && Array.isArray(member)
    return `${JSON.stringify(name)}:${isOrdered ? `[${member.map(canonicalText).join()}]` : canonicalText(member)}`
  })
  return `{${texts.sort().join()}}`
}

/** SHA-256 of {@link canonicalText}, in hexadecimal. */
export const digestOf = (value: unknown): string => hash('sha256', canonicalText(value))

/** SHA-256 of a set of SHA-256 digests, in hexadecimal: of their sum, because sorting half a million of them takes seconds. */
export function digestOfSet(digests: Iterable<string>): string {
  const sum = new Uint32Array(8)
  let count = 0
  for (const digest of digests) {
    const octets = Buffer.from(digest, 'hex')
    for (let lane = 0; lane < sum.length; lane++) sum[lane] = (sum[lane] as number) + octets.readUInt32BE(4 * lane)
    count++
  }
  return hash('sha256', `${count} ${sum.join()}`)
}

/** A copy that nobody can change: what JSON carries of it. Throws for what JSON cannot write. */
export const frozenCopy = <T>(value: T): T => deepFreeze(JSON.parse(JSON.stringify(value)))

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}

/**
 * What something says of itself; where it says nothing, or nothing that is a description, `custom` and its name: what is an application's own must
 * not keep an operator from reading the rest.
 */
export function descriptionOf(described: { describe?(): unknown }, name: string): Description {
  try {
    const given = described.describe?.()
    if (isDescription(given)) return frozenCopy(given)
  } catch {
    // It describes nothing then; decisions do not depend on it.
  }
  return Object.freeze({ kind: 'custom', name })
}

const isDescription = (given: unknown): given is Description =>
  typeof given === 'object' && given !== null && typeof (given as Partial<Description>).kind === 'string'

/** A URL without its query, which may hold a key, and without user information, which may hold a password. */
export function shownUrl(url: string): string {
  const query = url.indexOf('?')
  const shown = query < 0 ? url : `${url.slice(0, query)}?…`
  return shown.replace(/^((?:[a-z][a-z0-9+.-]*:)?[/\\]{2})[^/?#]*@/i, '$1…@')
}

/** JSON has no word for it. */
export const shownNumber = (value: number): number | string => (Number.isFinite(value) ? value : String(value))
