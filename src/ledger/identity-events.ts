import type { ClientCertErrorCode } from '../errors.js'
import { openChannel } from '../event-channels.js'
import type { NameForm } from './client-name.js'

/** What every event about an accepted certificate says. Nothing in it names a person, unless `auditNames` says so. */
export interface CertificateFacts {
  /** ISO 8601, UTC, of the request. */
  readonly time: string
  /** SHA-256 of the client's certificate. */
  readonly fingerprint: string
  /** SHA-256 of the CA certificate that issued it; absent where it is pinned. */
  readonly issuerFingerprint?: string
  /** The trust set of its anchor, where it has a name. */
  readonly anchor?: string
  readonly via: 'tls' | 'proxy'
  /** ISO 8601. */
  readonly notAfter: string
  /** With `auditNames`: RFC 4514 text. */
  readonly subject?: string
  readonly issuer?: string
}

/** Why a certificate falls short of `nextStandard`. */
export interface Shortfall {
  /** What it would be refused with. */
  readonly code: ClientCertErrorCode
  /** Which certificate of the path: 0 is the client's. */
  readonly depth: number
  readonly reason: string
}

/** What an operator may want to know of clients beyond single decisions. Frozen, and plain data. */
export type IdentityEvent =
  /** A client nobody has seen since the process began. `certain` is false once names had to be forgotten: then it may have been seen. */
  | ({ readonly type: 'first-seen'; readonly by: NameForm; readonly certain: boolean } & CertificateFacts)
  /** A client that is known came with a certificate of another issuer or of another key than any it came with before. */
  | ({
      readonly type: 'moved'
      readonly by: NameForm
      readonly changed: readonly ('issuer' | 'key')[]
      /** What it came with last. */
      readonly former: { readonly fingerprint: string; readonly issuerFingerprint?: string; readonly notAfter: string }
    } & CertificateFacts)
  /** A certificate has come under `days` of `expiry.warnDays`. */
  | ({ readonly type: 'expiring'; readonly days: number; readonly daysLeft: number } & CertificateFacts)
  /** A certificate would not be accepted under `nextStandard`. */
  | ({ readonly type: 'outdated'; readonly reasons: readonly Shortfall[] } & CertificateFacts)
  /** Many refusals within a short time. */
  | {
      readonly type: 'burst'
      readonly time: string
      readonly of: 'address' | 'certificate'
      /** IPv4, or the /64 of IPv6. */
      readonly address?: string
      readonly fingerprint?: string
      readonly refusals: number
      readonly seconds: number
      /** Of the last one. */
      readonly code: ClientCertErrorCode
    }

/** @internal Every type of event; a test compares them with the README. */
export const identityEventTypes: readonly IdentityEvent['type'][] = [
  'first-seen',
  'moved',
  'expiring',
  'outdated',
  'burst',
]

/** Hears every {@link IdentityEvent} of every authenticator of the process. */
export const identityChannel = openChannel<IdentityEvent>('identity')

/** Nothing is made for nobody. */
export function publishIdentity(make: () => IdentityEvent): void {
  if (identityChannel.hasSubscribers) identityChannel.publish(Object.freeze(make()))
}
