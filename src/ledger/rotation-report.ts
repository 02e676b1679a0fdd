import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import { present } from '../event-channels.js'
import { endOf } from '../path/validate-path.js'
import { type AnchorReport, anchorsOf, iso, isQuiet, time, unusedOf } from './anchor-report.js'
import { dayMilliseconds, daysLeft } from './expiry.js'
import { type Ledger, type LedgerClient, lastSeenOf, type OutdatedBy } from './ledger.js'
import { type Successors, successorsOf } from './successors.js'

export interface ReportOptions {
  /** The window in days: who was seen within it still counts. Default 30. */
  days?: number
  /** Certificates that end within so many days are listed as expiring. Default 30. */
  expiringDays?: number
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

/** For each certificate that has neither ended nor been replaced: how many days it has left. */
export function daysLeftInUse(ledger: Ledger, at: number): readonly number[] {
  const clients = [...ledger.clients]
  const successors = successorsOf(clients)
  return clients
    .filter((client) => at < endOf(client.notAfter) && !isReplaced(client, lastSeenOf(client), successors))
    .map((client) => daysLeft(client, at))
}

/** Its client has come with a younger one, and not with this one since: replicas of a service that share a name have one each. */
function isReplaced(client: LedgerClient, lastSeen: number, successors: Successors): boolean {
  const successor = successors.get(client)
  return successor !== undefined && lastSeen < firstSeenOf(successor)
}

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

/** Not those that have ended or were replaced. */
function expiringOf(
  clients: readonly { readonly client: LedgerClient; readonly lastSeen: number }[],
  successors: Successors,
  at: number,
  days: number,
): readonly string[] {
  const found = clients.filter(({ client, lastSeen }) => {
    const left = endOf(client.notAfter) - at
    return left > 0 && left <= days * dayMilliseconds && !isReplaced(client, lastSeen, successors)
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
