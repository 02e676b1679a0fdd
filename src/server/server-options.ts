import { constants } from 'node:crypto'
import type { TlsOptions } from 'node:tls'
import { type Authenticator, type AuthenticatorInternals, internals, isAuthenticator } from '../core/contract.js'
import { ClientCertConfigError } from '../errors.js'
import { nameList } from './ca-names.js'
import { safeAlpnCallback, safeSniCallback } from './handshake-callbacks.js'
import { rememberWishes } from './server-context.js'
import { bindSessions } from './session-binding.js'

/** What {@link tlsServerOptions} sets, whatever it is given. */
export interface EnforcedTlsOptions {
  requestCert: true
  rejectUnauthorized: false
  /** Nobody whom OpenSSL could trust: empty, or with `advertise` the names of the CAs with keys nobody has. */
  ca: string[]
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  secureOptions: number
  sessionIdContext: string
}

/** What {@link tlsServerOptions} takes, beside what Node's servers take. */
export interface AdvertiseOption {
  /**
   * `true`: the CertificateRequest names the trusted CAs, by which browsers and Java choose a certificate (RFC 8446 §4.2.4). Default `false`:
   * it names none, and clients choose themselves. About 800 names fit; beyond that it throws.
   */
  advertise?: boolean
}

/** What was given, with what is enforced in its place. */
export type TlsServerOptions<T> = Omit<T, keyof EnforcedTlsOptions | keyof AdvertiseOption> & EnforcedTlsOptions

/**
 * Options for `https.createServer`, `http2.createSecureServer` and `tls.createServer` under which only this package decides about clients: a
 * certificate is asked for and its key proven, OpenSSL trusts nobody (so that neither its roots nor a resumed session have a say), a client
 * cannot change its certificate on a live connection, and TLS is 1.2 or later.
 *
 * TLS sessions are bound to what the authenticator trusts now, and to the authenticator itself unless it has `intermediates`. Callbacks that
 * throw end one connection, not the process.
 *
 * @example
 * https.createServer(tlsServerOptions(auth, { key, cert }), app).listen(8443)
 */
export function tlsServerOptions<T extends TlsOptions & AdvertiseOption>(
  authenticator: Authenticator,
  options: T,
): TlsServerOptions<T> {
  if (!isAuthenticator(authenticator)) {
    throw new ClientCertConfigError(
      'tlsServerOptions: the first argument is the authenticator — tlsServerOptions(auth, { key, cert })',
    )
  }
  if (typeof options !== 'object' || options === null)
    throw new ClientCertConfigError('tlsServerOptions: expected { key, cert }')
  refuseContradictions(options)
  const { advertise = false, ...rest } = options
  const { minVersion, secureOptions = 0, SNICallback, ALPNCallback } = options
  const { trust, intermediates } = (authenticator as AuthenticatorInternals)[internals].settings
  const { sessionIdContext, ticketKeys } = bindSessions(authenticator as AuthenticatorInternals, options)
  const ca = advertise ? nameList(trust.current(), intermediates?.current()) : []
  rememberWishes(ca, { advertise, sessionIdContext: options.sessionIdContext, ticketKeys: options.ticketKeys })
  const enforced: EnforcedTlsOptions & TlsOptions = {
    requestCert: true,
    rejectUnauthorized: false,
    ca,
    minVersion: minVersion === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2',
    secureOptions: secureOptions | constants.SSL_OP_NO_RENEGOTIATION,
    sessionIdContext,
    ...(ticketKeys === undefined ? {} : { ticketKeys }),
    ...(SNICallback === undefined ? {} : { SNICallback: safeSniCallback(SNICallback) }),
    ...(ALPNCallback === undefined ? {} : { ALPNCallback: safeAlpnCallback(ALPNCallback) }),
  }
  return { ...rest, ...enforced } as TlsServerOptions<T>
}

function refuseContradictions(options: TlsOptions & AdvertiseOption): void {
  const { key, cert, pfx, SNICallback, requestCert, rejectUnauthorized, ca, crl, minVersion } = options
  const { advertise, pskCallback } = options
  const refuse = (reason: string) => new ClientCertConfigError(`tlsServerOptions: ${reason}`)
  const hasOwnCertificate = (key !== undefined && cert !== undefined) || pfx !== undefined || SNICallback !== undefined
  if (!hasOwnCertificate)
    throw refuse(
      "key and cert of the server are missing — { key: readFileSync('server.key'), cert: readFileSync('server.crt') }",
    )
  for (const [name, value] of Object.entries({ key, cert })) {
    if (!isPath(value)) continue
    throw refuse(
      `${name} is the path ${JSON.stringify(value)}, Node wants what is in the file — ${name}: readFileSync(${JSON.stringify(value)})`,
    )
  }
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
  if (pskCallback !== undefined)
    throw refuse('pskCallback: who comes by a pre-shared key brings no certificate — leave it out')
  if (advertise !== undefined && typeof advertise !== 'boolean') throw refuse('advertise is true or false')
}

/** Node says "no start line" of it. `superviseServer({ credentials })` takes paths; here they are easily written too. */
const isPath = (value: unknown): boolean =>
  typeof value === 'string' && /^[^\n]*[./\\][^\n]*$/.test(value) && !value.includes('-----BEGIN')
