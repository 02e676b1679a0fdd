import { hash } from 'node:crypto'
import { groupBy } from '../group-by.js'
import type { Certificate } from '../x509/certificate.js'
import type { DistinguishedName } from '../x509/name.js'
import { oid } from '../x509/oid.js'
import { slice } from '../x509/text.js'

/** RFC 5280 §6.1.1 (d): a certificate whose key is believed without proof. */
export interface TrustAnchor {
  readonly certificate: Certificate
  /** The trust set it was configured in: `trust: { partners: … }`. */
  readonly name?: string
}

/** A trust anchor of a trust set, or of none. */
export const anchorOf = (certificate: Certificate, name?: string): TrustAnchor =>
  Object.freeze(name === undefined ? { certificate } : { certificate, name })

/** An end entity trusted without a path: by its whole DER, or by its SubjectPublicKeyInfo and the names it is pinned with. */
export interface Pin extends TrustAnchor {
  readonly by: 'certificate' | 'key'
}

let generations = 0

/**
 * What is trusted at one moment. Never changes; a reload makes another one with a higher generation, so that whoever took a
 * snapshot sees it whole. Names are looked up by their RFC 5280 §7.1 comparison key: constant time for any number of anchors.
 */
export class TrustSnapshot {
  readonly anchors: readonly TrustAnchor[]
  /** End entities that are admitted by themselves; never issuers. */
  readonly pinned: readonly Pin[]
  readonly #pinnedCertificates: ReadonlyMap<string, Pin>
  readonly #pinnedKeys: ReadonlyMap<string, readonly Pin[]>
  readonly #bySubject: Map<string, TrustAnchor | Namesakes>
  readonly generation: number
  #digest: string | undefined

  constructor(anchors: readonly TrustAnchor[], pinned: readonly Pin[] = []) {
    this.#bySubject = bySubject(anchors)
    this.anchors = Object.freeze([...this.#bySubject.values()].flatMap((found) => (isOne(found) ? found : found.all)))
    this.pinned = Object.freeze(distinct(pinned.map(frozen)))
    const [certificates, keys] = [
      this.pinned.filter(({ by }) => by === 'certificate'),
      this.pinned.filter(({ by }) => by === 'key'),
    ]
    this.#pinnedCertificates = new Map(certificates.map((pin) => [pin.certificate.fingerprint, pin]))
    this.#pinnedKeys = group(keys, ({ certificate }) => keyText(certificate))
    this.generation = ++generations
  }

  /** What may vouch for this end entity: a store of domains that are kept apart answers with the end entity's own. May throw a refusal. */
  trustFor(_endEntity: Certificate): TrustSnapshot {
    return this
  }

  /** Whether {@link trustFor} binds the names of an end entity to its anchors, so that a rule about a name says whose. */
  get bindsNames(): boolean {
    return false
  }

  /** Anchors whose subject is this name. */
  bySubject(name: DistinguishedName): readonly TrustAnchor[] {
    return this.#namesakes(name)?.all ?? none
  }

  /** Anchors whose subject is this name and whose subjectKeyIdentifier these octets: found at once among any number of namesakes. */
  byKeyIdentifier(name: DistinguishedName, keyIdentifier: Uint8Array): readonly TrustAnchor[] {
    return this.#namesakes(name)?.byKeyIdentifier(keyIdentifier) ?? none
  }

  /** Made when the first client asks: of the names in a large store few are ever asked for. */
  #namesakes({ comparisonKey }: DistinguishedName): Namesakes | undefined {
    const found = this.#bySubject.get(comparisonKey)
    if (found === undefined || !isOne(found)) return found
    const alone = new Namesakes([found])
    this.#bySubject.set(comparisonKey, alone)
    return alone
  }

  /** SHA-256 of everything it holds, whatever the order: the same in every process that trusts the same. */
  get digest(): string {
    this.#digest ??= hash('sha256', [...this.anchors, ...this.pinned].map(lineOf).sort().join('\n'))
    return this.#digest
  }

  /** The pin that admits this certificate: for its whole DER, or for its key and names. */
  pinOf(certificate: Certificate): Pin | undefined {
    if (this.pinned.length === 0) return undefined
    const exact = this.#pinnedCertificates.get(certificate.fingerprint)
    return exact ?? this.#pinnedKeys.get(keyText(certificate))?.find((pin) => isNamedAs(certificate, pin.certificate))
  }
}

/** The anchors of one name: nearly always one. */
class Namesakes {
  readonly all: readonly TrustAnchor[]
  #byKeyIdentifier: ReadonlyMap<string, readonly TrustAnchor[]> | undefined

  constructor(all: readonly TrustAnchor[]) {
    this.all = Object.freeze(distinct(all))
  }

  byKeyIdentifier(keyIdentifier: Uint8Array): readonly TrustAnchor[] {
    this.#byKeyIdentifier ??= group(this.all, ({ certificate }) => {
      const own = certificate.extensions.subjectKeyIdentifier
      return own && latin1(own)
    })
    return this.#byKeyIdentifier.get(latin1(keyIdentifier)) ?? none
  }
}

const isOne = (found: TrustAnchor | Namesakes): found is TrustAnchor => !(found instanceof Namesakes)

function bySubject(anchors: readonly TrustAnchor[]): Map<string, TrustAnchor | Namesakes> {
  const found = new Map<string, TrustAnchor | Namesakes>()
  const several = new Map<string, TrustAnchor[]>()
  for (const each of anchors) {
    const anchor = frozen(each)
    const key = anchor.certificate.subjectKey
    const first = found.get(key) as TrustAnchor | undefined
    const list = several.get(key)
    if (list !== undefined) list.push(anchor)
    else if (first !== undefined) several.set(key, [first, anchor])
    else found.set(key, anchor)
  }
  for (const [key, list] of several) found.set(key, new Namesakes(list))
  return found
}

/** JSON, so that no name of a set can be taken for the rest of the line. */
const lineOf = (entry: TrustAnchor | Pin) =>
  JSON.stringify([entry.certificate.fingerprint, entry.name ?? null, 'by' in entry ? entry.by : 'anchor'])

const none: readonly TrustAnchor[] = Object.freeze([])

const frozen = <T extends TrustAnchor>(anchor: T): T =>
  Object.isFrozen(anchor) ? anchor : Object.freeze({ ...anchor })

/** Each certificate once in a set: files that overlap are no reason to look at it twice. */
function distinct<T extends TrustAnchor>(anchors: readonly T[]): readonly T[] {
  if (anchors.length < 2) return anchors
  return [
    ...new Map(anchors.map((anchor) => [`${anchor.certificate.fingerprint} ${anchor.name ?? ''}`, anchor])).values(),
  ]
}

const latin1 = (octets: Uint8Array) => slice(octets, 0, octets.length)

const keyText = ({ publicKey }: Certificate) => latin1(publicKey.der)

/** Whoever holds a pinned key can sign any name with it: only the names that were pinned are believed. */
function isNamedAs(certificate: Certificate, pinned: Certificate): boolean {
  const alternativeNames = ({ extensionList }: Certificate) =>
    extensionList.find((extension) => extension.oid === oid.subjectAltName)?.value ?? new Uint8Array()
  return (
    certificate.subject.isWrittenAs(pinned.subject) &&
    Buffer.compare(alternativeNames(certificate), alternativeNames(pinned)) === 0
  )
}

function group<T extends TrustAnchor>(
  items: readonly T[],
  keyOf: (item: T) => string | undefined,
): ReadonlyMap<string, readonly T[]> {
  const groups: Map<string, readonly T[]> = groupBy(items, keyOf)
  for (const [key, list] of groups) groups.set(key, Object.freeze(distinct(list)))
  return groups
}
