import { groupBy } from '../group-by.js'
import { limits } from '../limits.js'
import { CrlSet } from './crl-set.js'
import { type KnownCrl, replaces } from './known-crl.js'

/**
 * All CRLs a checker knows, by the source they come from. A source offers a new list of them as a whole; what was found to be signed and is newer
 * than what a source offers now stays, so that neither a file that is rolled back nor a fetched replay unsays a revocation.
 */
export class CrlHoldings {
  readonly #offered = new Map<string, readonly KnownCrl[]>()
  #kept: readonly KnownCrl[] = []
  #set = new CrlSet([])
  #generation = 0

  /** Rises whenever the set changes. */
  get generation(): number {
    return this.#generation
  }

  current(): CrlSet {
    return this.#set
  }

  /** What the source offered last, to be used again where its octets are the same. */
  offeredBy(source: string): readonly KnownCrl[] {
    return this.#offered.get(source) ?? []
  }

  offer(source: string, crls: readonly KnownCrl[]): void {
    const before = this.offeredBy(source)
    if (before.length === crls.length && before.every((known, i) => known === crls[i])) return
    // Put at the end: the one that was offered longest ago comes first.
    this.#offered.delete(source)
    this.#offered.set(source, crls)
    const offered = [...this.#offered.values()].flat()
    this.#kept = stillNeeded([...this.#kept, ...before], offered)
    this.#set = new CrlSet([...new Set([...offered, ...this.#kept])])
    this.#generation++
  }

  /** What the source offered stays only where it is signed and nothing replaces it. */
  forget(source: string): void {
    this.offer(source, [])
    this.#offered.delete(source)
  }
}

/** Signed CRLs that no source offers any more, and no signed one of their scope replaces. */
function stillNeeded(former: readonly KnownCrl[], offered: readonly KnownCrl[]): readonly KnownCrl[] {
  const present = new Set(offered)
  const gone = [...new Set(former)].filter((known) => known.isSigned && !present.has(known))
  const scopes = groupBy([...gone, ...offered.filter(({ isSigned }) => isSigned)], keyOf)
  const needed = gone.filter((known) =>
    (scopes.get(keyOf(known)) ?? []).every(
      (other) => other === known || !replaces(other, known, Number.NEGATIVE_INFINITY),
    ),
  )
  return needed.slice(-limits.crlsKept)
}

const keyOf = (known: KnownCrl) => `${known.isDelta ? 'delta' : 'complete'} ${known.scope}`
