import type { Certificate } from '../x509/certificate.js'
import type { DistinguishedName } from '../x509/name.js'

/** RFC 5280 §6.1.1 (d): a certificate whose key is believed without proof. */
export interface TrustAnchor {
  readonly certificate: Certificate
  /** The trust set it was configured in: `trust: { partners: … }`. */
  readonly name?: string
}

let generations = 0

/**
 * What is trusted at one moment. Never changes; a reload makes another one with a higher generation, so that whoever took a
 * snapshot sees it whole. Names are looked up by their RFC 5280 §7.1 comparison key: constant time for any number of anchors.
 */
export class TrustSnapshot {
  readonly anchors: readonly TrustAnchor[]
  /** End entities that are admitted by themselves, by their whole DER; never issuers. */
  readonly pinned: readonly TrustAnchor[]
  readonly #byFingerprint: ReadonlyMap<string, TrustAnchor>
  readonly #bySubject: ReadonlyMap<string, readonly TrustAnchor[]>
  readonly #byKeyIdentifier: ReadonlyMap<string, readonly TrustAnchor[]>
  readonly generation: number

  constructor(anchors: readonly TrustAnchor[], pinned: readonly TrustAnchor[] = []) {
    this.anchors = distinct(anchors)
    this.#bySubject = group(this.anchors, ({ certificate }) => certificate.subject.comparisonKey)
    this.#byKeyIdentifier = group(this.anchors, ({ certificate }) => {
      const keyIdentifier = certificate.extensions.subjectKeyIdentifier
      return keyIdentifier && keyed(certificate.subject, keyIdentifier)
    })
    this.pinned = distinct(pinned)
    this.#byFingerprint = new Map(this.pinned.map((pin) => [pin.certificate.fingerprint, pin]))
    this.generation = ++generations
  }

  /** Anchors whose subject is this name. */
  bySubject(name: DistinguishedName): readonly TrustAnchor[] {
    return this.#bySubject.get(name.comparisonKey) ?? none
  }

  /** Anchors whose subject is this name and whose subjectKeyIdentifier these octets: found at once among any number of namesakes. */
  byKeyIdentifier(name: DistinguishedName, keyIdentifier: Uint8Array): readonly TrustAnchor[] {
    return this.#byKeyIdentifier.get(keyed(name, keyIdentifier)) ?? none
  }

  /** The pin for exactly this certificate. */
  pinOf(certificate: Certificate): TrustAnchor | undefined {
    return this.pinned.length === 0 ? undefined : this.#byFingerprint.get(certificate.fingerprint)
  }
}

const none: readonly TrustAnchor[] = Object.freeze([])

/** Frozen, and each certificate once in a set: files that overlap are no reason to look at it twice. */
function distinct(anchors: readonly TrustAnchor[]): readonly TrustAnchor[] {
  const keyOf = ({ certificate, name }: TrustAnchor) => `${certificate.fingerprint} ${name ?? ''}`
  return Object.freeze([...new Map(anchors.map((anchor) => [keyOf(anchor), Object.freeze({ ...anchor })])).values()])
}

const keyed = (name: DistinguishedName, keyIdentifier: Uint8Array) =>
  `${Buffer.from(keyIdentifier).toString('latin1')} ${name.comparisonKey}`

function group(
  anchors: readonly TrustAnchor[],
  keyOf: (anchor: TrustAnchor) => string | undefined,
): Map<string, TrustAnchor[]> {
  const groups = new Map<string, TrustAnchor[]>()
  for (const anchor of anchors) {
    const key = keyOf(anchor)
    if (key === undefined) continue
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [anchor])
    else known.push(anchor)
  }
  for (const list of groups.values()) Object.freeze(list)
  return groups
}
