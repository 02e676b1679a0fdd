import type { ClientIdentity } from '../identity/identity.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { Settings } from './options.js'

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

/** Text that changes whenever remembered decisions have to be made again. */
export function stampOf({ trust, intermediates, revocation }: Settings): string {
  const generation = revocation === 'none' ? 0 : (revocation.generation ?? 0)
  const unusable = trust.unusable ?? intermediates?.unusable ?? ''
  return `${trust.current().generation} ${intermediates?.current().generation} ${generation} ${unusable}`
}
