// What the programs of this folder have in common: an API that says who its client is, and is never restarted.
import https from 'node:https'
import express from 'express'
import { createAuthenticator } from 'mtls-identity'
import { clientCert, clientIdentity } from 'mtls-identity/express'
import { superviseServer, tlsServerOptions } from 'mtls-identity/server'

/**
 * @param from what the program's name is in its one line of output
 * @param trust a TrustStore or what else createAuthenticator() takes; `rules` and `intermediates` likewise
 * @param material the server's key and certificate to begin with: { key, cert } or { pfx }
 * @param credentials where they come from afterwards: what superviseServer() takes
 */
export async function serve(from, { material, credentials, ...options }) {
  const auth = createAuthenticator({ revocation: 'none', ...options })
  const app = express()
  app.use(clientCert({ authenticator: auth }))
  app.get('/', (request, response) => response.json(clientIdentity(request)))
  const server = https.createServer(tlsServerOptions(auth, material), app)
  superviseServer(server, auth, { credentials })
  // Not a moment earlier: until the trust store is loaded, everybody gets 503.
  await auth.ready()
  const port = Number(process.env.PORT ?? 8443)
  server.listen(port, () => console.log(`${from} listens on https://localhost:${port}`))
}

/** JSON or text of an address. What is not a 2xx is an error: a provider must never take an error page for certificates. */
export async function ask(url, { as = 'json', ...init } = {}) {
  const response = await fetch(url, { redirect: 'error', ...init })
  if (!response.ok) throw new Error(`${new URL(url).host} answered ${response.status}`)
  return response[as]()
}

/** An environment variable that has to be there. */
export function setting(name, otherwise) {
  const value = process.env[name] ?? otherwise
  if (value === undefined) throw new Error(`${name} is not set: see the top of this file`)
  return value
}

/** Milliseconds between two looks. */
export const refresh = Number(process.env.REFRESH ?? 300_000)
