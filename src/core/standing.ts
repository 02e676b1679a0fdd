import type { TLSSocket } from 'node:tls'
import { deny } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import type { RememberedPath } from '../path/remembered-path.js'
import type { CertificateSource, Reading } from '../source/source.js'

/** An identity that was given out, and the path it was derived from. */
export interface Standing {
  readonly identity: ClientIdentity
  readonly path: RememberedPath
}

/** What a verified path was presented as, so that it can be verified again without its connection. */
export function readingOf({ path, identity }: Standing) {
  const [certificate, ...intermediates] = path.octets
  return { presented: { certificate, intermediates, via: identity.via } }
}

/** What is presented on a connection without requests. */
export function readSocket({ source }: { readonly source: CertificateSource }, socket: TLSSocket): Reading {
  if (source.readSocket !== undefined) return source.readSocket(socket)
  throw deny('ERR_CLIENT_CERT_ABSENT', {
    cause: 'not-http',
    requested: undefined,
    encrypted: socket.encrypted === true,
  })
}
