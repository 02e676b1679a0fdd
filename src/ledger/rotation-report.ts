import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import { present } from '../event-channels.js'
import { escaped } from '../help.js'
import { endOf } from '../path/validate-path.js'
import type { Pin, TrustAnchor } from '../trust/trust-snapshot.js'
import { type AnchorRecord, authorityOf, idOf, subjectOf } from './anchor-records.js'
import { dayMilliseconds, daysLeft } from './expiry.js'
import { type Ledger, type LedgerClient, lastSeenOf, type OutdatedBy } from './ledger.js'

export interface ReportOptions {
  /** The window in days: who was seen within it still counts. Default 30. */
  days?: number
  /** Certificates that end within so many days are listed as expiring. Default 30. */
  expiringDays?: number
}

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

/** One certificate that was accepted. */
export interface CertificateReport {
  /** SHA-256. */
  readonly fingerprint: string
  /** With `auditNames`: what the client is known by across certificates, subject and issuer (RFC 4514). */
  readonly name?: string
  readonly subject?: string
  readonly issuer?: string
  readonly notBefore: string
  readonly notAfter: string
  readonly daysLeft: number
  /** `EC P-256`, `RSA 2048`, `Ed25519`. */
  readonly key: string
  /** The algorithm it was signed with: `ecdsa-with-SHA256`. */
  readonly signature: string
  readonly firstSeen: string
  readonly lastSeen: string
  /** Requests that were accepted. */
  readonly requests: number
  readonly ways: readonly WayReport[]
  /** What it would be refused with under `nextStandard`; depth 0 is the certificate itself, others are CAs of its path. */
  readonly outdated: readonly OutdatedBy[]
  /** The youngest certificate of the same client, where that is another one. */
  readonly successor?: string
}

/** One way a certificate was accepted by. */
export interface WayReport {
  /** Fingerprints of the trust anchor and of the CA certificate that issued it; the latter absent where it is pinned. */
  readonly anchor: string
  readonly set?: string
  readonly issuer?: string
  readonly via: 'tls' | 'proxy'
  readonly firstSeen: string
  readonly lastSeen: string
  readonly requests: number
}

/** What `authenticator.report()` returns: frozen, and plain data. Everything in it is about this process, since it began. */
export interface RotationReport {
  /** ISO 8601, UTC. */
  readonly at: string
  readonly since?: string
  readonly days: number
  readonly anchors: readonly AnchorReport[]
  /** Fingerprints of trusted anchors that nobody has come by since they are watched. */
  readonly unusedAnchors: readonly string[]
  /** Every certificate that is remembered, the last seen first. */
  readonly certificates: readonly CertificateReport[]
  /** Certificates that had to be forgotten because more than `capacity` came. */
  readonly forgotten: number
  readonly capacity: number
  /** Fingerprints of those that end within `expiringDays` and are not replaced yet, the first to end first. */
  readonly expiring: readonly string[]
  /** Of the certificates seen within the window, how many have which key, and were signed with which algorithm. */
  readonly keys: readonly { readonly key: string; readonly certificates: number }[]
  readonly signatures: readonly { readonly signature: string; readonly certificates: number }[]
}

/** @param at milliseconds since 1970 */
export function rotationReport(ledger: Ledger, options: ReportOptions, named: boolean, at: number): RotationReport {
  const { days, expiringDays } = digest(options)
  const from = at - days * dayMilliseconds
  const clients = [...ledger.clients].map((client) => ({ client, lastSeen: lastSeenOf(client) }))
  clients.sort((a, b) => b.lastSeen - a.lastSeen)
  const successors = successorsOf(clients.map(({ client }) => client))
  const recent = clients.filter(({ lastSeen }) => lastSeen >= from).map(({ client }) => client)
  const anchors = anchorsOf(ledger, { at, from, successors, named, isQuiet: isQuiet(ledger, recent, from) })
  return Object.freeze({
    at: iso(at),
    ...present({ since: time(ledger.anchors.watchedSince(undefined, at)) }),
    days,
    anchors,
    unusedAnchors: unusedOf(anchors),
    certificates: Object.freeze(clients.map(({ client }) => certificateOf(client, successors, at))),
    forgotten: ledger.forgotten,
    capacity: ledger.capacity,
    expiring: expiringOf(clients, successors, at, expiringDays),
    keys: histogram(recent, 'key'),
    signatures: histogram(recent, 'signature'),
  })
}

/** For each certificate that is in use, neither ended nor replaced by a younger one of its client: how many days it has left. */
export function daysLeftInUse(ledger: Ledger, at: number): readonly number[] {
  const clients = [...ledger.clients]
  const successors = successorsOf(clients)
  return clients
    .filter((client) => !successors.has(client) && at < endOf(client.notAfter))
    .map((client) => daysLeft(client, at))
}

/** By fingerprint: of a CA in several sets, the first vouches for the others. */
function unusedOf(anchors: readonly AnchorReport[]): readonly string[] {
  const used = new Set(anchors.filter((anchor) => !isUnused(anchor)).map(({ fingerprint }) => fingerprint))
  const fingerprints = anchors.filter(({ trusted }) => trusted).map(({ fingerprint }) => fingerprint)
  return Object.freeze([...new Set(fingerprints)].filter((fingerprint) => !used.has(fingerprint)))
}

/** A time that is not known is one, to `reasonOf`. */
const isUnused = ({ lastSeen, reason }: AnchorReport) =>
  lastSeen === undefined && reason !== 'seen' && reason !== 'connected'

function digest(options: ReportOptions): Required<ReportOptions> {
  const where = 'report'
  if (typeof options !== 'object' || options === null) {
    throw new ClientCertConfigError(`${where}: expected options — auth.report({ days: 30 })`)
  }
  refuseUnknownOptions(where, options, ['days', 'expiringDays'])
  refuseUndefinedOptions(where, options)
  const { days = 30, expiringDays = 30 } = options
  for (const [name, value] of Object.entries({ days, expiringDays })) {
    if (!(typeof value === 'number' && value > 0 && Number.isFinite(value))) {
      throw new ClientCertConfigError(
        `${where}: ${name} is ${JSON.stringify(value)}, expected a number of days above 0`,
      )
    }
  }
  return { days, expiringDays }
}

interface Window {
  /** Milliseconds since 1970 at which it begins. */
  readonly from: number
  readonly at: number
  readonly successors: Successors
  readonly named: boolean
  readonly isQuiet: boolean
}

/** A process nobody came to knows nothing of who comes. */
const isQuiet = (ledger: Ledger, recent: readonly LedgerClient[], from: number) =>
  recent.length === 0 && [...ledger.anchors.all].every(({ lastSeen, open }) => lastSeen < from && open.size === 0)

function anchorsOf(ledger: Ledger, window: Window): readonly AnchorReport[] {
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
  return Object.freeze(rows.map((row) => reportOf(row, isNeededLater(row, ends) ? 'needed-later' : row.reason, window)))
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

/** By certificate: the youngest of the same client, where it is another. A renewed one need not end later: lifetimes get shorter. */
type Successors = ReadonlyMap<LedgerClient, LedgerClient>

function successorsOf(clients: readonly LedgerClient[]): Successors {
  const youngest = new Map<string, LedgerClient>()
  for (const client of clients) {
    const known = youngest.get(client.nameKey)
    if (known === undefined || isYounger(client, known)) youngest.set(client.nameKey, client)
  }
  return new Map(
    clients.flatMap((client) => {
      const other = youngest.get(client.nameKey)
      return other !== undefined && isYounger(other, client) ? [[client, other] as const] : []
    }),
  )
}

const isYounger = (a: LedgerClient, b: LedgerClient) =>
  a.notBefore === b.notBefore ? a.notAfter > b.notAfter : a.notBefore > b.notBefore

function certificateOf(client: LedgerClient, successors: Successors, at: number): CertificateReport {
  const { fingerprint, name, subject, issuer, notBefore, notAfter, key, signature, sightings, outdated } = client
  return Object.freeze({
    fingerprint,
    ...present({ name, subject, issuer }),
    notBefore: iso(notBefore),
    notAfter: iso(notAfter),
    daysLeft: daysLeft(client, at),
    key,
    signature,
    firstSeen: iso(firstSeenOf(client)),
    lastSeen: iso(lastSeenOf(client)),
    requests: sightings.reduce((sum, { requests }) => sum + requests, 0),
    ways: Object.freeze(
      sightings.map((sighting) =>
        Object.freeze({
          anchor: sighting.anchor.fingerprint,
          ...present({ set: sighting.anchor.set, issuer: sighting.issuer }),
          via: sighting.via,
          firstSeen: iso(sighting.firstSeen),
          lastSeen: iso(sighting.lastSeen),
          requests: sighting.requests,
        }),
      ),
    ),
    outdated,
    ...present({ successor: successors.get(client)?.fingerprint }),
  })
}

const firstSeenOf = ({ sightings }: LedgerClient) =>
  sightings.reduce((first, { firstSeen }) => Math.min(first, firstSeen), Number.POSITIVE_INFINITY)

/** Not those that have ended, nor those whose client has come with a younger one and not with this one since. */
function expiringOf(
  clients: readonly { readonly client: LedgerClient; readonly lastSeen: number }[],
  successors: Successors,
  at: number,
  days: number,
): readonly string[] {
  const isReplaced = (client: LedgerClient, lastSeen: number) => {
    const successor = successors.get(client)
    return successor !== undefined && lastSeen < firstSeenOf(successor)
  }
  const found = clients.filter(({ client, lastSeen }) => {
    const left = endOf(client.notAfter) - at
    return left > 0 && left <= days * dayMilliseconds && !isReplaced(client, lastSeen)
  })
  found.sort((a, b) => a.client.notAfter - b.client.notAfter)
  return Object.freeze(found.map(({ client }) => client.fingerprint))
}

function histogram<K extends 'key' | 'signature'>(clients: readonly LedgerClient[], field: K) {
  const counts = new Map<string, number>()
  for (const client of clients) counts.set(client[field], (counts.get(client[field]) ?? 0) + 1)
  const rows = [...counts].sort(([, a], [, b]) => b - a)
  return Object.freeze(
    rows.map(([value, certificates]) =>
      Object.freeze({ [field]: value, certificates } as { readonly [F in K]: string } & {
        readonly certificates: number
      }),
    ),
  )
}

/** Undefined where it is no time of the calendar. */
const time = (at: number | undefined) => (at !== undefined && Number.isFinite(at) ? iso(at) : undefined)
const iso = (at: number) => new Date(at).toISOString()
