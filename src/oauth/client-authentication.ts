import { identityOf } from '../core/guard.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { LruMap } from '../lru-map.js'
import { dnsName, email, ip, uri } from '../rules/alternative-name-matchers.js'
import { subject } from '../rules/name-matchers.js'
import type { Rule } from '../rules/rule.js'
import type { AnyRequest } from '../source/source.js'
import { isThenable } from '../thenable.js'

/** RFC 8705 §2.1.2: what a client may be registered with, exactly one of them. */
export type TlsClientAuthProperty =
  | 'tls_client_auth_subject_dn'
  | 'tls_client_auth_san_dns'
  | 'tls_client_auth_san_uri'
  | 'tls_client_auth_san_ip'
  | 'tls_client_auth_san_email'

/** No wildcard and no network: a registration names one certificate subject. */
const exact = (make: (value: string) => Rule, refused: RegExp) => (value: string) =>
  refused.test(value) ? undefined : make(value)

const matchers: { readonly [P in TlsClientAuthProperty]: (value: string) => Rule | undefined } = {
  tls_client_auth_subject_dn: subject,
  tls_client_auth_san_dns: exact(dnsName, /\*/),
  tls_client_auth_san_uri: uri,
  tls_client_auth_san_ip: exact(ip, /\//),
  tls_client_auth_san_email: email,
}

/** Registrations come again and again; what one of them makes is kept. */
const known = new LruMap<string, Rule | 'no rule'>(10_000)

/**
 * Whether a certificate is the one a client was registered with (RFC 8705 §2.1.2): distinguished names are compared as names (RFC 4517
 * distinguishedNameMatch, RFC 5280 §7.1), never as text; the other values as their types are. What is no such value, and an empty one, matches nothing.
 *
 * @example
 * tlsClientAuthMatches(identity, 'tls_client_auth_subject_dn', 'CN=client 7, O=Acme')
 */
export function tlsClientAuthMatches(identity: ClientIdentity, property: string, expected: string): boolean {
  if (!Object.hasOwn(matchers, property) || typeof expected !== 'string') return false
  const rule = ruleOf(property as TlsClientAuthProperty, expected)
  if (rule === 'no rule') return false
  const outcome = rule.evaluate(identity, undefined)
  return !isThenable(outcome) && outcome.holds === true
}

function ruleOf(property: TlsClientAuthProperty, expected: string): Rule | 'no rule' {
  const key = `${property} ${expected}`
  const made = known.get(key)
  if (made !== undefined) return made
  let rule: Rule | 'no rule'
  try {
    rule = matchers[property](expected) ?? 'no rule'
  } catch (error) {
    if (!(error instanceof ClientCertConfigError)) throw error
    rule = 'no rule'
  }
  known.set(key, rule)
  return rule
}

/** What this module needs of oidc-provider's context. */
export interface OidcContext {
  readonly req: AnyRequest
  readonly oidc?: { readonly client?: { readonly clientId: string } | undefined } | undefined
}

export interface OidcMtlsOptions {
  /**
   * The trust set (`trust: { partners: … }`) whose CA may vouch for a client, by its `client_id`. With several CAs in `trust` each of them can issue
   * every subject: say which one speaks for whom. Undefined refuses.
   */
  anchorOf?: (clientId: string) => string | undefined
}

/** The three functions oidc-provider's `features.mTLS` asks for. */
export interface OidcMtls {
  getCertificate(context: OidcContext): string | undefined
  certificateAuthorized(context: OidcContext): boolean
  certificateSubjectMatches(context: OidcContext, property: string, expected: string): boolean
}

/**
 * What `features.mTLS` of oidc-provider asks for, by the decision of `clientCert()` about the request: mount it, `mode: 'optional'`, before the
 * provider. A certificate that was not accepted is none.
 *
 * @example
 * const provider = new Provider(issuer, {
 *   features: { mTLS: { enabled: true, tlsClientAuth: true, certificateBoundAccessTokens: true, ...oidcMtls() } },
 * })
 * provider.use(clientCert({ authenticator, mode: 'optional' }))   // of mtls-identity/koa
 */
export function oidcMtls(options: OidcMtlsOptions = {}): OidcMtls {
  refuseUnknownOptions('oidcMtls', options, ['anchorOf'])
  const { anchorOf } = options
  if ('anchorOf' in options && typeof anchorOf !== 'function') {
    throw new ClientCertConfigError(`oidcMtls: anchorOf is a function of the client_id, got ${typeof anchorOf}`)
  }
  const accepted = ({ req, oidc }: OidcContext): ClientIdentity | undefined => {
    const identity = identityOf(req)
    if (identity === undefined || anchorOf === undefined) return identity
    const client = oidc?.client
    // Before a client is known there is nobody a CA could speak for.
    const wanted = client === undefined ? undefined : anchorOf(client.clientId)
    return wanted !== undefined && identity.anchor.name === wanted ? identity : undefined
  }
  return Object.freeze({
    getCertificate: ({ req }: OidcContext) => identityOf(req)?.certificate.pem,
    certificateAuthorized: (context: OidcContext) => accepted(context) !== undefined,
    certificateSubjectMatches: (context: OidcContext, property: string, expected: string) => {
      const identity = accepted(context)
      return identity !== undefined && tlsClientAuthMatches(identity, property, expected)
    },
  })
}
