import { present } from '../event-channels.js'
import { escaped } from '../help.js'
import type { Pin, TrustAnchor } from '../trust/trust-snapshot.js'
import { type AnchorRecord, authorityOf, idOf, subjectOf } from './anchor-records.js'
import type { Ledger, LedgerClient } from './ledger.js'
import type { Successors } from './successors.js'

/** Why an anchor may go, or may not. */
export type RemovalReason =
  /** It may: in all of the window nobody came by it, while others came. */
  | 'unused'
  /** Not in the trust store: there is nothing to remove. */
  | 'not-trusted'
  /** Another certificate of the same CA, which is trusted no more or ends before it, vouched for somebody within the window. */
  | 'needed-later'
  /** Somebody came by it within the window. */
  | 'seen'
  /** A connection that was opened by it is still open. */
  | 'connected'
  /** This process has not watched it for as long as the window. */
  | 'watched-too-short'
  /** Nobody at all came within the window: that says nothing about any anchor. */
  | 'no-traffic'

/** @internal Every reason; a test compares them with the README. */
export const removalReasons: readonly RemovalReason[] = [
  'unused',
  'not-trusted',
  'needed-later',
  'seen',
  'connected',
  'watched-too-short',
  'no-traffic',
]

/** What this process has seen of one trust anchor. Times are ISO 8601, UTC. */
export interface AnchorReport {
  /** SHA-256 of its certificate. */
  readonly fingerprint: string
  /** The named set of `trust` it is in. */
  readonly set?: string
  /** RFC 4514 text. Of a pinned certificate, which is a client's, with `auditNames` only. */
  readonly subject?: string
  readonly notAfter?: string
  readonly pinned?: 'certificate' | 'key'
  /** In the trust store now. */
  readonly trusted: boolean
  /** Since when it has been there while this process watched. */
  readonly since?: string
  /** Nobody has come by it as long as it was watched. */
  readonly lastSeen?: string
  /** Certificates that came by it within the window. */
  readonly certificates: number
  /** Those of them whose client has not come with a younger certificate yet. */
  readonly notRenewed: number
  /** Connections that were accepted by it and are open now, as far as `guardConnection()`, `authenticateUpgrade()` or `superviseServer()` look after them. */
  readonly connections: number
  /** Certificates that came by it and had to be forgotten: `lastSeen` knows of them, the counts do not. */
  readonly forgotten: number
  /** As far as clients of this process go. */
  readonly safeToRemove: boolean
  readonly reason: RemovalReason
}

/** What a report is about. */
export interface Window {
  /** Milliseconds since 1970 at which it begins. */
  readonly from: number
  readonly at: number
  readonly successors: Successors
  readonly named: boolean
  readonly isQuiet: boolean
}

/** A process nobody came to knows nothing of who comes. */
export const isQuiet = (ledger: Ledger, recent: readonly LedgerClient[], from: number) =>
  recent.length === 0 && [...ledger.anchors.all].every(({ lastSeen, open }) => lastSeen < from && open.size === 0)

/** What is trusted, in its order, and then what was trusted before. */
export function anchorsOf(ledger: Ledger, window: Window): readonly AnchorReport[] {
  const { at } = window
  const seen = new Map<AnchorRecord, { lastSeen: number; clients: LedgerClient[] }>()
  for (const client of ledger.clients) {
    const counted = new Set<AnchorRecord>()
    for (const { anchor, lastSeen } of client.sightings) {
      const known = seen.get(anchor) ?? { lastSeen, clients: [] }
      seen.set(anchor, known)
      known.lastSeen = Math.max(known.lastSeen, lastSeen)
      if (lastSeen >= window.from && !counted.has(anchor)) known.clients.push(client)
      counted.add(anchor)
    }
  }
  const rowOf = (record: AnchorRecord | undefined, anchor: TrustAnchor | Pin | undefined): AnchorRow => {
    const known = record && seen.get(record)
    const facts = {
      lastSeen: Math.max(record?.lastSeen ?? Number.NEGATIVE_INFINITY, known?.lastSeen ?? Number.NEGATIVE_INFINITY),
      since: ledger.anchors.watchedSince(record, at),
      connections: record?.open.size ?? 0,
      trusted: anchor !== undefined,
    }
    return { record, anchor, ...facts, clients: known?.clients ?? [], reason: reasonOf(facts, window) }
  }
  const records = new Map([...ledger.anchors.all].map((record) => [record.id, record]))
  const former = new Set(records.values())
  const rows = ledger.anchors.trusted.map((anchor) => {
    const record = records.get(idOf(anchor))
    if (record !== undefined) former.delete(record)
    return rowOf(record, anchor)
  })
  rows.push(...[...former].map((record) => rowOf(record, undefined)))
  const ends = endsInUse(rows, window)
  const trusted = new Set(ledger.anchors.trusted.map(({ certificate }) => certificate.fingerprint))
  // Of a CA that is in another set now, nobody shall read that it is not trusted.
  const told = rows.filter(({ reason, record }) => reason !== 'not-trusted' || !trusted.has(record?.fingerprint ?? ''))
  return Object.freeze(told.map((row) => reportOf(row, isNeededLater(row, ends) ? 'needed-later' : row.reason, window)))
}

/** An anchor that is trusted, or was before. */
interface AnchorRow extends AnchorFacts {
  readonly record: AnchorRecord | undefined
  readonly anchor: TrustAnchor | Pin | undefined
  /** Of the window. */
  readonly clients: readonly LedgerClient[]
  readonly reason: RemovalReason
}

function reportOf(row: AnchorRow, reason: RemovalReason, { named, successors }: Window): AnchorReport {
  const { record, anchor, trusted, since, lastSeen, connections, clients } = row
  return Object.freeze({
    ...describe(record, anchor, named),
    trusted,
    ...present({ since: time(since), lastSeen: time(lastSeen) }),
    certificates: clients.length,
    notRenewed: clients.filter((client) => !successors.has(client)).length,
    connections,
    forgotten: record?.forgotten ?? 0,
    safeToRemove: reason === 'unused' || reason === 'not-trusted',
    reason,
  })
}

/** By CA: until when the first to end of its certificates vouches that somebody came by. One that is trusted no more does not any longer. */
function endsInUse(rows: readonly AnchorRow[], { from }: Window): ReadonlyMap<string, number> {
  const ends = new Map<string, number>()
  for (const { record, anchor, connections, lastSeen } of rows) {
    if (record === undefined || (connections === 0 && lastSeen < from)) continue
    const end = anchor?.certificate.notAfter ?? Number.NEGATIVE_INFINITY
    ends.set(record.authority, Math.min(end, ends.get(record.authority) ?? end))
  }
  return ends
}

/** Of several certificates of a CA the search takes the first that will do, and the next one when that has ended. */
const isNeededLater = ({ anchor, reason }: AnchorRow, ends: ReadonlyMap<string, number>) =>
  anchor !== undefined &&
  reason === 'unused' &&
  (ends.get(authorityOf(anchor)) ?? Number.POSITIVE_INFINITY) < anchor.certificate.notAfter

interface AnchorFacts {
  readonly lastSeen: number
  readonly since: number | undefined
  readonly connections: number
  readonly trusted: boolean
}

/** Every comparison fails where a time is not known, and with it the claim. */
function reasonOf({ lastSeen, since, connections, trusted }: AnchorFacts, { from, isQuiet }: Window): RemovalReason {
  if (connections > 0) return 'connected'
  if (!trusted) return 'not-trusted'
  if (!(lastSeen < from)) return 'seen'
  if (!(since !== undefined && since <= from)) return 'watched-too-short'
  return isQuiet ? 'no-traffic' : 'unused'
}

function describe(record: AnchorRecord | undefined, anchor: TrustAnchor | Pin | undefined, named: boolean) {
  if (anchor === undefined) {
    const { fingerprint = '', set, subject } = record ?? {}
    return { fingerprint, ...present({ set, subject }) }
  }
  const { certificate, name } = anchor
  const { fingerprint, notAfter } = certificate
  const set = name && escaped(name)
  const pinned = 'by' in anchor ? anchor.by : undefined
  return { fingerprint, ...present({ set, subject: subjectOf(anchor, named), notAfter: iso(notAfter), pinned }) }
}

/** By fingerprint: of a CA in several sets, the first vouches for the others. */
export function unusedOf(anchors: readonly AnchorReport[]): readonly string[] {
  const used = new Set(anchors.filter((anchor) => !isUnused(anchor)).map(({ fingerprint }) => fingerprint))
  const fingerprints = anchors.filter(({ trusted }) => trusted).map(({ fingerprint }) => fingerprint)
  return Object.freeze([...new Set(fingerprints)].filter((fingerprint) => !used.has(fingerprint)))
}

/** A time that is not known is one, to `reasonOf`. */
const isUnused = ({ lastSeen, reason }: AnchorReport) =>
  lastSeen === undefined && reason !== 'seen' && reason !== 'connected'

/** Undefined where it is no time of the calendar. */
export const time = (at: number | undefined) => (at !== undefined && Number.isFinite(at) ? iso(at) : undefined)
export const iso = (at: number) => new Date(at).toISOString()
