import { createHash } from 'node:crypto'
import { escaped } from '../help.js'
import { momentOrNone } from '../moment.js'
import type { CertificationPath } from '../path/certification-path.js'
import { quietly } from '../quietly.js'
import type { Pin, TrustAnchor, TrustSnapshot } from '../trust/trust-snapshot.js'
import type { TrustStore } from '../trust/trust-store.js'
import type { Certificate } from '../x509/certificate.js'
import { oid } from '../x509/oid.js'

/** A trust anchor, and what was seen of it. Milliseconds since 1970. */
export interface AnchorRecord {
  readonly id: string
  readonly fingerprint: string
  /** The same for all certificates of one CA: see `authorityOf`. */
  readonly authority: string
  /** Safe to print, as `subject` is. */
  readonly set: string | undefined
  /** RFC 4514 text; of a pinned certificate, which is a client's, with `auditNames` only. */
  readonly subject: string | undefined
  /** Since when it has been in the trust store without a gap, as far as this process knows; undefined where it is not in it. */
  since: number | undefined
  /** Of the clients that were forgotten, and of connections that have ended; -Infinity: nobody. */
  lastSeen: number
  /** Connections that are open by it now, and how many look after each. */
  readonly open: Map<object, number>
  /** Certificates that had to be forgotten. */
  forgotten: number
}

/** A connection keeps the anchor in use by which it was accepted last. */
export interface Hold {
  /** Does nothing once it was released. */
  by(path: Pick<CertificationPath, 'anchor'>): void
  release(): void
}

interface AnchorSettings {
  readonly trust: TrustStore
  readonly auditNames: boolean
  readonly now: () => number
}

/** Of anchors that are trusted no more. */
const former = 1_000
/** By how much the system's clock may be set without a word: far below the days that reports are about. */
const evenMilliseconds = 300_000

/** What is trusted, since when, and until when it was used. Outlives reloads of trust. */
export class AnchorRecords {
  /** Milliseconds since 1970 since when this process watches; NaN where the clock gave no time. */
  readonly since: number
  readonly #settings: AnchorSettings
  readonly #records = new Map<string, AnchorRecord>()
  readonly #stop: () => void
  #trusted: TrustSnapshot
  /** The system's clock less the one that only goes forward. */
  #offset = Number.NaN
  /** Since when the system's clock has run evenly. */
  #even = Number.NEGATIVE_INFINITY

  constructor(settings: AnchorSettings) {
    this.#settings = settings
    this.since = this.#moment()
    this.#trusted = settings.trust.current()
    this.#stop = settings.trust.onReload((result) => {
      if (result.ok) quietly(() => this.#reloaded())
    })
  }

  /** Those somebody came by, or that came or went with a reload. */
  get all(): Iterable<AnchorRecord> {
    return this.#records.values()
  }

  /** What is in the trust store now. */
  get trusted(): readonly (TrustAnchor | Pin)[] {
    return [...this.#trusted.anchors, ...this.#trusted.pinned]
  }

  of(anchor: TrustAnchor | Pin): AnchorRecord {
    const id = idOf(anchor)
    const known = this.#records.get(id)
    if (known !== undefined) return known
    const record = {
      id,
      fingerprint: anchor.certificate.fingerprint,
      authority: authorityOf(anchor),
      set: anchor.name && escaped(anchor.name),
      subject: subjectOf(anchor, this.#settings.auditNames),
      // Those that came with a reload have their record from then on.
      since: this.since,
      lastSeen: Number.NEGATIVE_INFINITY,
      open: new Map(),
      forgotten: 0,
    }
    this.#records.set(id, record)
    return record
  }

  /**
   * Since when an anchor in the trust store is watched; undefined where it is in it no more. Never from before the system's clock was set or the machine
   * slept: times from before do not compare with those after it, and in a time that was skipped nobody could come.
   *
   * @param record undefined: nobody has come by it, and no reload has brought it
   */
  watchedSince(record: AnchorRecord | undefined, at: number): number | undefined {
    this.notice(at)
    const since = record === undefined ? this.since : record.since
    return since === undefined ? undefined : Math.max(since, this.#even)
  }

  /** Is told the time whenever one is kept or compared. Of an application's own clock nobody knows how it should run. */
  notice(at: number): void {
    if (this.#settings.now !== Date.now) return
    const offset = at - performance.now()
    if (!(Math.abs(offset - this.#offset) <= evenMilliseconds)) this.#even = at
    this.#offset = offset
  }

  hold(connection: object): Hold {
    let held: AnchorRecord | undefined
    let isOver = false
    const letGo = () => {
      if (held === undefined) return
      const others = (held.open.get(connection) ?? 1) - 1
      if (others > 0) held.open.set(connection, others)
      else held.open.delete(connection)
      // NaN where the clock gives no time: then nobody can say that it was long ago.
      held.lastSeen = Math.max(held.lastSeen, this.#moment())
    }
    return {
      by: ({ anchor }) => {
        if (isOver) return
        const record = this.of(anchor)
        if (record === held) return
        letGo()
        record.open.set(connection, (record.open.get(connection) ?? 0) + 1)
        held = record
      },
      release: () => {
        if (!isOver) letGo()
        isOver = true
      },
    }
  }

  close(): void {
    this.#stop()
  }

  #moment(): number {
    const at = momentOrNone(this.#settings)
    this.notice(at)
    return at
  }

  /** An anchor that was not trusted for a while could not be seen meanwhile: it is watched from its return on. */
  #reloaded(): void {
    const at = this.#moment()
    const gone = new Set(this.trusted.map(idOf))
    this.#trusted = this.#settings.trust.current()
    for (const anchor of this.trusted) {
      if (!gone.delete(idOf(anchor))) this.of(anchor).since = at
    }
    for (const id of gone) {
      const record = this.#records.get(id)
      if (record !== undefined) record.since = undefined
    }
    const unused = [...this.#records.values()].filter(({ since, open }) => since === undefined && open.size === 0)
    unused.sort((a, b) => a.lastSeen - b.lastSeen)
    for (const { id } of unused.slice(0, Math.max(0, unused.length - former))) this.#records.delete(id)
  }
}

/** One anchor of one set; a pinned key is the same anchor whatever certificate of the same names it comes in. */
export function idOf(anchor: TrustAnchor | Pin): string {
  const { certificate, name = '' } = anchor
  if (!('by' in anchor && anchor.by === 'key')) return `${certificate.fingerprint} ${name}`
  const san = certificate.extensionList.find((extension) => extension.oid === oid.subjectAltName)?.value
  return `key ${digest(keyAndName(certificate), san ?? new Uint8Array())} ${name}`
}

/** A CA by name and key, in which another certificate of it can stand in for one (RFC 5280 §6.1.1 (d)); nobody stands in for what is pinned. */
export function authorityOf(anchor: TrustAnchor | Pin): string {
  return 'by' in anchor ? idOf(anchor) : keyAndName(anchor.certificate)
}

const keyAndName = ({ subject, publicKey }: Certificate) => digest(subject.comparisonKey, publicKey.der)

/** The text is in it by its length: nothing can move from one part to the other. */
const digest = (text: string, octets: Uint8Array) =>
  createHash('sha256').update(`${text.length} ${text}`).update(octets).digest('base64')

/** An operator's own CAs have names; of a pinned certificate, which is a client's, it is told where names are. */
export const subjectOf = (anchor: TrustAnchor | Pin, named: boolean): string | undefined =>
  'by' in anchor && !named ? undefined : escaped(anchor.certificate.subject.toString())
