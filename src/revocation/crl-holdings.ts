import { groupBy } from '../group-by.js'
import { limits } from '../limits.js'
import { CrlSet } from './crl-set.js'
import { type KnownCrl, replaces } from './known-crl.js'

/**
 * All CRLs a checker knows, by the source they come from. A source offers a new list of them as a whole; what was signed, or may be, and is newer
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

  /** What all sources offer now. */
  offered(): readonly KnownCrl[] {
    return [...this.#offered.values()].flat()
  }

  /** What the source offered last, to be used again where its octets are the same. */
  offeredBy(source: string): readonly KnownCrl[] {
    return this.#offered.get(source) ?? []
  }

  offer(source: string, offered: readonly KnownCrl[]): void {
    const before = this.offeredBy(source)
    const former = [...new Set([...this.#kept, ...before])]
    // What was found out about these octets stays with them, also where a source goes back and forth between two.
    const crls = offered.map((known) => former.find((other) => hasSameOctets(known, other)) ?? known)
    if (before.length === crls.length && before.every((known, i) => known === crls[i])) return
    // Put at the end: the one that was offered longest ago comes first.
    this.#offered.delete(source)
    this.#offered.set(source, crls)
    const present = new Set(this.offered())
    this.#kept = stillNeeded(
      former.filter((known) => !present.has(known)),
      present,
    )
    this.#set = new CrlSet([...present, ...this.#kept])
    this.#generation++
  }

  /** What the source offered stays only where it may be signed and nothing replaces it. */
  forget(source: string): void {
    this.offer(source, [])
    this.#offered.delete(source)
  }
}

/**
 * CRLs that no source offers any more, and no signed one of their scope replaces: of those that are signed, none that was signed with another key,
 * for that may be another CA's of the same name; of those that are not, none that names another key. The latter may be anybody's: of them the last few,
 * together no longer than one CRL may be.
 */
function stillNeeded(gone: readonly KnownCrl[], offered: ReadonlySet<KnownCrl>): readonly KnownCrl[] {
  const signed = [...gone, ...offered].filter(isSigned)
  const ofScope = groupBy(signed, ({ scope }) => scope)
  const ofSigner = groupBy(signed, ofScopeAndSigner)
  const isReplaced = (known: KnownCrl, others: readonly KnownCrl[] = []) =>
    others.some((other) => other !== known && replaces(other, known, false))
  const needed = gone.filter((known) => {
    const others = isSigned(known)
      ? ofSigner.get(ofScopeAndSigner(known))
      : ofScope.get(known.scope)?.filter((other) => !nameDifferentKeys(other, known))
    return !isReplaced(known, others)
  })
  const unsigned = needed.filter((known) => !isSigned(known)).slice(-limits.crlsUnsigned)
  return [...needed.filter(isSigned).slice(-limits.crlsKept), ...lastWithin(limits.crlBytes, unsigned)]
}

const isSigned = ({ signer }: KnownCrl) => signer !== undefined

const ofScopeAndSigner = ({ scope, signer }: KnownCrl) => `${Buffer.from(signer ?? []).toString('latin1')} ${scope}`

/** RFC 5280 §5.2.1. */
function nameDifferentKeys({ crl: a }: KnownCrl, { crl: b }: KnownCrl): boolean {
  const [one, other] = [a, b].map(({ extensions }) => extensions.authorityKeyIdentifier?.keyIdentifier)
  return one !== undefined && other !== undefined && Buffer.compare(one, other) !== 0
}

/** The last that have together no more octets than that. */
function lastWithin(octets: number, crls: readonly KnownCrl[]): readonly KnownCrl[] {
  let first = crls.length
  for (let rest = octets; first > 0; first--) {
    rest -= (crls[first - 1] as KnownCrl).crl.der.length
    if (rest < 0) break
  }
  return crls.slice(first)
}

const hasSameOctets = (a: KnownCrl, b: KnownCrl) => Buffer.compare(a.crl.der, b.crl.der) === 0
