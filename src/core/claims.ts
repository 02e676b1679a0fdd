import type { ClientIdentity } from '../identity/identity.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { RememberedPath } from '../path/remembered-path.js'
import { sharedMap } from '../shared.js'
import type { AcceptedDecision } from './decision.js'

/** Who gave an identity out, and by which path: for whoever has the identity alone. */
export interface Claim {
  readonly authenticator: object
  readonly path: RememberedPath
}

const claims = sharedMap<Claim>('identities')

export function claim(identity: ClientIdentity, by: Claim): void {
  claims.set(identity, by)
}

export const claimOf = (identity: object): Claim | undefined => claims.get(identity)

/** What vouches for whom a decision accepted, without reading the certificate again as `decision.path` would. */
export const anchoredBy = (decision: AcceptedDecision): Pick<CertificationPath, 'anchor'> =>
  claimOf(decision.identity)?.path ?? decision.path
