import { DerError } from '../der/der-error.js'
import { limits } from '../limits.js'
import type { GeneralName } from '../x509/general-name.js'
import type { DistinguishedName } from '../x509/name.js'

const none: readonly number[] = []

/**
 * Whose certificates the entries of a CRL are (RFC 5280 §5.3.3): the CRL issuer's until an entry names another, and then that one's until the
 * next does. Issuers are numbered; 0 is the CRL issuer.
 */
export class EntryIssuers {
  /** The numbers that go by a name. They are several where entries name one issuer in several ways at once. */
  readonly #byName: Map<string, number[]>
  readonly #byNames: Map<string, number>
  #nameCount = 1
  /** Where runs of entries begin, and whose they are. */
  readonly #runStarts: number[] = []
  readonly #runIssuers: number[] = []
  /** The issuer of the entries that come next. */
  current = 0

  constructor(crlIssuer: DistinguishedName) {
    const key = crlIssuer.comparisonKey
    this.#byName = new Map([[key, [0]]])
    this.#byNames = new Map([[JSON.stringify([key]), 0]])
  }

  /** The entry at `offset` names its issuer. False where no distinguished name is among the names, so that nobody could find it. */
  begin(offset: number, names: readonly GeneralName[]): boolean {
    const keys = new Set(names.flatMap((name) => (name.type === 'directoryName' ? [name.value.comparisonKey] : [])))
    const issuer = this.#numberOf([...keys].sort(), offset)
    if (issuer !== this.current) {
      this.#runStarts.push(offset)
      this.#runIssuers.push(issuer)
      this.current = issuer
    }
    return keys.size > 0
  }

  #numberOf(keys: readonly string[], offset: number): number {
    const together = JSON.stringify(keys)
    const known = this.#byNames.get(together)
    if (known !== undefined) return known
    this.#nameCount += Math.max(1, keys.length)
    if (this.#nameCount > limits.crlIssuers) throw new DerError('too many certificate issuers', offset)
    const number = this.#byNames.size
    this.#byNames.set(together, number)
    for (const key of keys) this.#byName.set(key, [...this.numbersOf(key), number])
    return number
  }

  /** The numbers of the issuers that go by a name, by its comparison key. */
  numbersOf(key: string): readonly number[] {
    return this.#byName.get(key) ?? none
  }

  /** The number of the issuer that the entry at `offset` is about. */
  at(offset: number): number {
    let [low, high] = [0, this.#runStarts.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#runStarts[middle] as number) <= offset) low = middle + 1
      else high = middle
    }
    return low === 0 ? 0 : (this.#runIssuers[low - 1] as number)
  }
}
