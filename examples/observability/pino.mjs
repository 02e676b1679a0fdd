// node examples/observability/pino.mjs [clients-ca.pem server.key server.crt]
// Every decision is a line of JSON in the application's own log, and no line names a person. LOG=./api.log writes it to a file.
import { createHmac, randomBytes } from 'node:crypto'
import https from 'node:https'
import express from 'express'
import { createAuthenticator, tlsServerOptions } from 'mtls-identity'
import { clientCert, clientIdentity } from 'mtls-identity/express'
import pino from 'pino'
import { certificates } from '../certificates.mjs'

const { trust, key, cert, port } = await certificates()

// The same name is the same pseudonym while the key is the same; without the key nobody can try names out.
const pseudonymKey = process.env.PSEUDONYM_KEY ?? randomBytes(32)
const pseudonym = (name) => createHmac('sha256', pseudonymKey).update(String(name)).digest('base64url').slice(0, 16)

// What a handler may log by mistake, { headers: request.headers } above all: bearer tokens, sessions, forwarded certificates with their names.
const headers = ['authorization', 'cookie', 'client-cert', 'x-ssl-client-cert', 'x-forwarded-client-cert']
const log = pino(
  {
    level: process.env.LEVEL ?? 'info',
    redact: {
      paths: ['audit.subject', ...headers.map((name) => `headers["${name}"]`)],
      censor: (value, path) => (path[0] === 'audit' ? pseudonym(value) : '[redacted]'),
    },
    serializers: {
      // Named one by one: a query may hold anything.
      request: ({ method, url, socket }) => ({ method, path: url.split('?', 1)[0], address: socket.remoteAddress }),
    },
  },
  pino.destination({ dest: process.env.LOG ?? 1, sync: true }),
)

/** Whoever comes again and again was logged when it was decided about; a 5xx is ours to look after. */
function levelOf(decision, { remembered }) {
  if (decision.outcome === 'accepted') return remembered ? 'debug' : 'info'
  return decision.error.status >= 500 ? 'error' : 'warn'
}

const auth = createAuthenticator({
  trust,
  revocation: 'none',
  auditNames: true, // for the pseudonym
  log: false, // the same refusals, as sentences for people
  onDecision: (decision, context) => {
    const { audit, request } = context
    // An upgrade, or a bare connection, has no request.
    log[levelOf(decision, context)]({ audit, ...(request && { request }) }, `client certificate ${audit.outcome}`)
  },
})

const app = express()
app.use(clientCert({ authenticator: auth }))
app.get('/', (request, response) => {
  const { fingerprint } = clientIdentity(request)
  log.info({ fingerprint, headers: request.headers }, 'greeted')
  response.send('Hello\n')
})

https.createServer(tlsServerOptions(auth, { key, cert }), app).listen(port, () => {
  console.log(`Express listens on https://localhost:${port}`)
})
