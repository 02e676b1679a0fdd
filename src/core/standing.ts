import type { ClientIdentity } from '../identity/identity.js'
import type { CertificationPath } from '../path/certification-path.js'

/** An identity that was given out, and the path it was derived from. */
export interface Standing {
  readonly identity: ClientIdentity
  readonly path: CertificationPath
}

/** What a verified path was presented as, so that it can be verified again without its connection. */
export function readingOf({ path, identity }: Standing) {
  const [certificate = new Uint8Array(), ...intermediates] = path.certificates.map(({ der }) => der)
  return { presented: { certificate, intermediates, via: identity.via } }
}
