import { constants } from 'node:crypto'
import type { TlsOptions } from 'node:tls'
import { ClientCertConfigError } from '../errors.js'
import { type Authenticator, internals } from './authenticator.js'

/** What {@link tlsServerOptions} sets, whatever it is given. */
export interface EnforcedTlsOptions {
  requestCert: true
  rejectUnauthorized: false
  ca: []
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  secureOptions: number
}

/**
 * Options for `https.createServer`, `http2.createSecureServer` and `tls.createServer` under which only this package decides about clients: a
 * certificate is asked for and its key proven, OpenSSL trusts nobody (so that neither its roots nor a resumed session have a say), a client
 * cannot change its certificate on a live connection, and TLS is 1.2 or later.
 *
 * @example
 * https.createServer(tlsServerOptions(auth, { key, cert }), app).listen(8443)
 */
export function tlsServerOptions<T extends TlsOptions>(
  authenticator: Authenticator,
  options: T,
): Omit<T, keyof EnforcedTlsOptions> & EnforcedTlsOptions {
  if (!(typeof authenticator === 'object' && authenticator !== null && internals in authenticator)) {
    throw new ClientCertConfigError(
      'tlsServerOptions: the first argument is the authenticator — tlsServerOptions(auth, { key, cert })',
    )
  }
  if (typeof options !== 'object' || options === null)
    throw new ClientCertConfigError('tlsServerOptions: expected { key, cert }')
  refuseContradictions(options)
  const { minVersion, secureOptions = 0 } = options
  return {
    ...options,
    requestCert: true,
    rejectUnauthorized: false,
    ca: [],
    minVersion: minVersion === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2',
    secureOptions: secureOptions | constants.SSL_OP_NO_RENEGOTIATION,
  }
}

function refuseContradictions(options: TlsOptions): void {
  const { key, cert, pfx, SNICallback, requestCert, rejectUnauthorized, ca, crl, minVersion } = options
  const refuse = (reason: string) => new ClientCertConfigError(`tlsServerOptions: ${reason}`)
  const hasOwnCertificate = (key !== undefined && cert !== undefined) || pfx !== undefined || SNICallback !== undefined
  if (!hasOwnCertificate)
    throw refuse(
      "key and cert of the server are missing — { key: readFileSync('server.key'), cert: readFileSync('server.crt') }",
    )
  if (requestCert === false) throw refuse('requestCert: false asks no client for a certificate — leave it out')
  if (rejectUnauthorized === true)
    throw refuse('rejectUnauthorized: true makes Node refuse in the handshake, without a reason — leave it out')
  if (ca !== undefined && !(Array.isArray(ca) && ca.length === 0)) {
    throw refuse('ca: client certificates are decided about by trust: of the authenticator — leave ca out')
  }
  if (crl !== undefined) throw refuse('crl: revocation is decided about by the authenticator — leave crl out')
  if (minVersion !== undefined && minVersion !== 'TLSv1.2' && minVersion !== 'TLSv1.3') {
    throw refuse(`minVersion: ${minVersion} is broken (RFC 8996) — TLSv1.2 or TLSv1.3`)
  }
}
