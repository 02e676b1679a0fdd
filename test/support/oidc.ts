/** An authorization server: the real oidc-provider behind `clientCert()`, over TLS on loopback. */
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { jest } from '@jest/globals'
import { exportJWK, generateKeyPair } from 'jose'
import Provider, { type ClientMetadata } from 'oidc-provider'
import { type Authenticator, tlsServerOptions } from '../../src/index.js'
import * as forKoa from '../../src/koa.js'
import type { OidcMtls } from '../../src/oauth.js'
import type { TestCredential } from '../../src/testing.js'
import { serverTls } from './servers.js'

export const audience = 'https://api.test'

export type TlsClientAuthMethod = 'tls_client_auth' | 'self_signed_tls_client_auth'

/** A client that has nothing but its certificate. */
export const registered = (
  client_id: string,
  token_endpoint_auth_method: TlsClientAuthMethod,
  more: Partial<ClientMetadata>,
): ClientMetadata => ({
  client_id,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  id_token_signed_response_alg: 'ES256',
  response_types: [],
  token_endpoint_auth_method,
  tls_client_certificate_bound_access_tokens: true,
  ...more,
})

export interface Issuer {
  readonly port: number
  /** Asks the token endpoint as a client. */
  tokenFor(
    client_id: string,
    credential?: TestCredential,
  ): Promise<{ status: number; body: Record<string, string | undefined> }>
  close(): Promise<void>
}

export async function startIssuer(
  authenticator: Authenticator,
  method: TlsClientAuthMethod,
  clients: readonly ClientMetadata[],
  mtls: OidcMtls,
): Promise<Issuer> {
  // It tells the developer about keys and stores that are not for production.
  const quiet = [jest.spyOn(console, 'info'), jest.spyOn(console, 'warn')].map((spy) =>
    spy.mockImplementation(() => {}),
  )
  const server = https.createServer(tlsServerOptions(authenticator, await serverTls))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const provider = new Provider(`https://localhost:${port}`, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'k' }] },
    adapter: registryOf(clients),
    clientAuthMethods: [method],
    responseTypes: [],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: method === 'tls_client_auth',
        selfSignedTlsClientAuth: method === 'self_signed_tls_client_auth',
        certificateBoundAccessTokens: true,
        ...mtls,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({
          scope: 'read',
          audience,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  } as never)
  provider.use(forKoa.clientCert({ authenticator, mode: 'optional' }) as never)
  server.on('request', provider.callback() as never)

  return {
    port,
    async tokenFor(client_id, credential) {
      const form = new URLSearchParams({ client_id, grant_type: 'client_credentials', scope: 'read' }).toString()
      const request = https.request({
        host: '127.0.0.1',
        port,
        servername: 'localhost',
        rejectUnauthorized: false,
        agent: false,
        path: '/token',
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': form.length },
        ...credential?.tls,
      })
      request.end(form)
      const [response] = await once(request, 'response')
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      return { status: response.statusCode, body: JSON.parse(text) }
    },
    async close() {
      for (const spy of quiet) spy.mockRestore()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * Where clients are registered; what is issued here nobody has to find again. (Clients given as an option are cloned into objects of Node's realm,
 * which are no plain objects to code that jest runs, and a `jwks` has to be one.)
 */
const registryOf = (clients: readonly ClientMetadata[]) => (model: string) => ({
  find: async (id: string) => (model === 'Client' ? clients.find(({ client_id }) => client_id === id) : undefined),
  upsert: async () => {},
})

/** The certificate a token is bound to (RFC 8705 §3.1). */
export function confirmationOf(token: string | undefined): unknown {
  const [, payload = ''] = (token ?? '').split('.')
  return JSON.parse(Buffer.from(payload, 'base64url').toString()).cnf
}
