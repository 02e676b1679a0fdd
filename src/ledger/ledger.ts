import { present } from '../event-channels.js'
import { escaped } from '../help.js'
import type { PublicKeyDescription } from '../identity/fields.js'
import { type ClientIdentity, toIdentity } from '../identity/identity.js'
import type { ResolvedProfile } from '../path/profile.js'
import type { RememberedPath } from '../path/remembered-path.js'
import { signatureAlgorithms } from '../path/signature-algorithms.js'
import { quietly } from '../quietly.js'
import type { TrustStore } from '../trust/trust-store.js'
import { type AnchorRecord, AnchorRecords } from './anchor-records.js'
import { clientNameOf, type NameForm } from './client-name.js'
import { daysLeft, expiryWarning } from './expiry.js'
import { type CertificateFacts, publishIdentity, type Shortfall } from './identity-events.js'
import { outdatedReasons } from './outdated.js'
import type { SeenClient, Sighting } from './sighting.js'
import { ClientHistory } from './unusual.js'

/** What the ledger is told, beside who comes. */
export interface LedgerSettings {
  readonly trust: TrustStore
  readonly warnDays: readonly number[]
  readonly nextStandard: ResolvedProfile | undefined
  readonly auditNames: boolean
  /** Of a candidate policy: the settings of the one in force. */
  readonly enforced?: object | undefined
  readonly now: () => number
}

/** One way a certificate was accepted by. */
export interface LedgerSighting extends Sighting {
  readonly anchor: AnchorRecord
  readonly issuer: string | undefined
  readonly via: 'tls' | 'proxy'
  readonly firstSeen: number
}

/** What a certificate, or a CA of its path, would be refused with. */
export type OutdatedBy = Pick<Shortfall, 'code' | 'depth'>

/** One certificate that was accepted. */
export interface LedgerClient {
  readonly fingerprint: string
  /** By what the client is known across its certificates: see `clientNameOf`. */
  readonly by: NameForm
  /** The same for all of them. */
  readonly nameKey: string
  readonly notBefore: number
  readonly notAfter: number
  /** `EC P-256`, `RSA 2048`, `Ed25519`. */
  readonly key: string
  readonly signature: string
  /** With `auditNames`. */
  readonly name: string | undefined
  readonly subject: string | undefined
  readonly issuer: string | undefined
  sightings: readonly LedgerSighting[]
  /** By `nextStandard`. */
  outdated: readonly OutdatedBy[]
  /** The shortest threshold of expiry that was told of. */
  told: number
}

const capacity = 10_000
const none: readonly OutdatedBy[] = Object.freeze([])
/** Of one certificate: several ways are rare, and what a client sends along may make more of them. */
const ways = 16

/**
 * Who was accepted, by which CA, and when last: what an operator has to know before a CA is removed. It outlives reloads of trust. Its memory is bounded:
 * whoever was not seen for longest is forgotten, and leaves the time at which it was seen with its anchor, so that an anchor's last use stays exact.
 */
export class Ledger {
  readonly anchors: AnchorRecords
  readonly #settings: LedgerSettings
  readonly #capacity: number
  readonly #history = new ClientHistory()
  readonly #clients = new Map<string, LedgerClient>()
  #forgotten = 0
  /** What the clock said last. */
  #latest = Number.NEGATIVE_INFINITY

  constructor(settings: LedgerSettings, most: number = capacity) {
    this.anchors = new AnchorRecords(settings)
    this.#settings = settings
    this.#capacity = most
  }

  get clients(): Iterable<LedgerClient> {
    return this.#clients.values()
  }

  get size(): number {
    return this.#clients.size
  }

  get capacity(): number {
    return this.#capacity
  }

  /** Certificates that had to be forgotten. */
  get forgotten(): number {
    return this.#forgotten
  }

  /**
   * A client was accepted. Nearly always this is three stores into memory.
   *
   * @param isRequest false where it was decided about again by ourselves
   */
  see(known: SeenClient, at: number, isRequest: boolean): void {
    const { sighting } = known
    // What is due was forgotten, or comes under a threshold; a clock that goes back is noticed.
    if (sighting !== undefined && at < sighting.due && at >= this.#latest) {
      this.#latest = at
      sighting.lastSeen = at
      if (isRequest) sighting.requests++
    } else {
      this.#lookQuietly(known, at, isRequest)
    }
  }

  close(): void {
    this.anchors.close()
  }

  #lookQuietly(known: SeenClient, at: number, isRequest: boolean): void {
    // A candidate's clients are those of the policy in force, which sees them.
    if (this.#settings.enforced !== undefined) return
    // Whatever goes wrong here, the client was accepted.
    quietly(() => this.#look(known, at, isRequest))
  }

  #look(known: SeenClient, at: number, isRequest: boolean): void {
    this.#latest = at
    this.anchors.notice(at)
    const { identity: given, path } = known
    // What the ledger reads of the certificate is not kept with the identity that is remembered.
    const identity = toIdentity(path, given.via, given.principal)
    const met = this.#clients.get(identity.fingerprint)
    const client = met ?? this.#enter(identity, path)
    const waysBefore = client.sightings.length
    const sighting = this.#sightingOf(client, identity, path, at)
    const { days, due } = expiryWarning(this.#settings.warnDays, client, client.told, at)
    sighting.lastSeen = at
    if (isRequest) sighting.requests++
    sighting.due = due
    known.sighting = sighting
    // Seen it is, whatever becomes of telling it.
    const facts = () => this.#factsOf(identity, at)
    if (met === undefined) this.#tellOfHistory(client, identity, facts)
    // By another path it may fall short although it did not before.
    if (client.sightings.length > waysBefore) this.#tellOfStandard(client, known, facts)
    if (days === undefined) return
    client.told = days
    publishIdentity(() => ({ type: 'expiring', days, daysLeft: daysLeft(client, at), ...facts() }))
  }

  #enter(identity: ClientIdentity, path: RememberedPath): LedgerClient {
    const { fingerprint } = identity
    const { notBefore, notAfter, signatureAlgorithm } = path.endEntity
    const { by, key, name } = clientNameOf(identity)
    const named = this.#settings.auditNames
    const client: LedgerClient = {
      fingerprint,
      by,
      nameKey: key,
      notBefore,
      notAfter,
      key: keyText(identity.publicKey),
      signature: signatureAlgorithms.get(signatureAlgorithm.oid)?.name ?? signatureAlgorithm.oid,
      // Names are as long as a peer wishes; `escaped` cuts them.
      name: named ? escaped(name) : undefined,
      subject: named ? escaped(identity.subject.toString()) : undefined,
      issuer: named ? escaped(identity.issuer.toString()) : undefined,
      sightings: [],
      outdated: none,
      told: Number.POSITIVE_INFINITY,
    }
    if (this.#clients.size >= this.#capacity) this.#makeRoom()
    this.#clients.set(fingerprint, client)
    return client
  }

  #sightingOf(client: LedgerClient, identity: ClientIdentity, path: RememberedPath, at: number): LedgerSighting {
    const { via } = identity
    const anchor = this.anchors.of(path.anchor)
    const issuer = identity.issuerCertificate?.fingerprint
    let { sightings } = client
    const known = sightings.find((each) => each.anchor === anchor && each.via === via && each.issuer === issuer)
    if (known !== undefined) return known
    if (sightings.length === ways) {
      const oldest = sightings.reduce((a, b) => (b.lastSeen < a.lastSeen ? b : a))
      sightings = sightings.filter((each) => each !== oldest)
      forget(oldest)
    }
    const sighting = { due: at, lastSeen: at, requests: 0, anchor, issuer, via, firstSeen: at }
    // A list that grows keeps room for sixteen more, and nearly every certificate comes one way.
    client.sightings = sightings.concat(sighting)
    return sighting
  }

  /** Several at once, so that the search for them is paid rarely. */
  #makeRoom(): void {
    const times = Float64Array.from(this.#clients.values(), lastSeenOf).sort()
    const most = Math.ceil(this.#capacity / 16)
    const end = times[most - 1] as number
    let left = most
    for (const client of this.#clients.values()) {
      if (left === 0) return
      if (lastSeenOf(client) > end) continue
      left--
      this.#clients.delete(client.fingerprint)
      this.#forgotten++
      for (const anchor of new Set(client.sightings.map((sighting) => sighting.anchor))) anchor.forgotten++
      client.sightings.forEach(forget)
    }
  }

  #tellOfHistory(client: LedgerClient, identity: ClientIdentity, facts: () => CertificateFacts): void {
    const { fingerprint, notAfter } = client
    const issuer = identity.issuerCertificate
    const { by } = client
    const unusual = this.#history.meet(client.nameKey, {
      fingerprint,
      notAfter,
      issuerFingerprint: issuer?.fingerprint,
      issuerKey: issuer?.publicKeyPin ?? 'pinned',
      key: identity.publicKeyPin,
    })
    if (unusual?.type === 'first-seen') publishIdentity(() => ({ ...unusual, by, ...facts() }))
    if (unusual?.type !== 'moved') return
    const { changed, former } = unusual
    publishIdentity(() => ({
      type: 'moved',
      by,
      changed: Object.freeze(changed),
      former: Object.freeze({
        fingerprint: former.fingerprint,
        ...present({ issuerFingerprint: former.issuerFingerprint }),
        notAfter: new Date(former.notAfter).toISOString(),
      }),
      ...facts(),
    }))
  }

  #tellOfStandard(client: LedgerClient, { path, decidedAt }: SeenClient, facts: () => CertificateFacts): void {
    const { nextStandard } = this.#settings
    if (nextStandard === undefined || client.outdated.length > 0) return
    const reasons = outdatedReasons(path.whole, nextStandard, decidedAt)
    if (reasons.length === 0) return
    client.outdated = Object.freeze(reasons.map(({ code, depth }) => Object.freeze({ code, depth })))
    publishIdentity(() => ({ type: 'outdated', reasons, ...facts() }))
  }

  #factsOf(identity: ClientIdentity, at: number): CertificateFacts {
    const { fingerprint, issuerCertificate, anchor, via, notAfter, subject, issuer } = identity
    const named = this.#settings.auditNames
    return {
      time: new Date(at).toISOString(),
      fingerprint,
      via,
      notAfter: notAfter.toISOString(),
      ...present({
        issuerFingerprint: issuerCertificate?.fingerprint,
        anchor: anchor.name && escaped(anchor.name),
        subject: named ? escaped(subject.toString()) : undefined,
        issuer: named ? escaped(issuer.toString()) : undefined,
      }),
    }
  }
}

export function lastSeenOf({ sightings }: LedgerClient): number {
  let last = Number.NEGATIVE_INFINITY
  for (const { lastSeen } of sightings) last = Math.max(last, lastSeen)
  return last
}

/** Whoever still has it in hand comes back with it, and is entered anew. */
function forget(sighting: LedgerSighting): void {
  sighting.due = Number.NEGATIVE_INFINITY
  sighting.anchor.lastSeen = Math.max(sighting.anchor.lastSeen, sighting.lastSeen)
}

export const keyText = ({ algorithm, bits, curve }: PublicKeyDescription): string =>
  [algorithm, bits, curve].filter((part) => part !== undefined).join(' ')
