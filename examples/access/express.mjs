// node examples/access/express.mjs [clients-ca.pem server.key server.crt]
import https from 'node:https'
import express from 'express'
import { createAuthenticator, explain, tlsServerOptions } from 'mtls-identity'
import { clientCert, clientIdentity, requireClientCert } from 'mtls-identity/express'
import { certificates } from '../certificates.mjs'
import { admins, editors, readers, resolve } from './access.mjs'

const { trust, key, cert, port } = await certificates()
const auth = createAuthenticator({
  trust,
  revocation: 'none',
  log: false,
  resolve,
  onDecision: (decision) => decision.outcome === 'refused' && console.error(explain(decision)),
})

const catalogue = new Map([['1', 'pencil']])
const app = express()
app.use(clientCert({ authenticator: auth }))
app.get('/me', (request, response) => response.json(clientIdentity(request).principal))
app.get('/catalogue', requireClientCert(readers), (_request, response) => response.json([...catalogue]))
app.put('/catalogue/:id', requireClientCert(editors), (request, response) => {
  catalogue.set(request.params.id, clientIdentity(request).principal.name)
  response.json([...catalogue])
})
app.delete('/catalogue/:id', requireClientCert(admins), (request, response) => {
  catalogue.delete(request.params.id)
  response.json([...catalogue])
})

https.createServer(tlsServerOptions(auth, { key, cert }), app).listen(port, () => {
  console.log(`Express listens on https://localhost:${port}`)
})
