import type { AnyClientCertError } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import type { CertificationPath } from '../path/certification-path.js'

/** What was decided about one request, connection or chain. */
export type Decision = {
  readonly decidedAt: Date
  /** False where a mount in report-only mode let the request pass whatever the outcome. */
  readonly enforced: boolean
} & (
  | {
      readonly outcome: 'accepted'
      readonly identity: ClientIdentity
      readonly path: CertificationPath
      /** The instant after which it must be decided anew: the earliest notAfter of the path, or what revocation said. */
      readonly validUntil: Date
    }
  | { readonly outcome: 'absent'; readonly error: AnyClientCertError }
  | { readonly outcome: 'refused'; readonly error: AnyClientCertError }
)
