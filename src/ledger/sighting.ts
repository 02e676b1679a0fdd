import type { ClientIdentity } from '../identity/identity.js'
import type { RememberedPath } from '../path/remembered-path.js'

/** One way by which a certificate was accepted. It hangs on what is remembered of a client, and is written on the way of each of its requests. */
export interface Sighting {
  /** Milliseconds since 1970, as all of them: from then on the ledger wants to look at it again. */
  due: number
  lastSeen: number
  requests: number
}

/** A client as it is remembered, which the ledger hangs a sighting on. */
export interface SeenClient {
  readonly identity: ClientIdentity
  readonly path: RememberedPath
  /** Milliseconds since 1970. */
  readonly decidedAt: number
  sighting: Sighting | undefined
}
