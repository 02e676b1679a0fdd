// node examples/express.mjs [clients-ca.pem server.key server.crt]
import https from 'node:https'
import express from 'express'
import { createAuthenticator, tlsServerOptions } from 'mtls-identity'
import { clientCert, clientIdentity } from 'mtls-identity/express'
import { certificates } from './certificates.mjs'

const { trust, key, cert, port } = await certificates()

const auth = createAuthenticator({ trust, revocation: 'none' })
const app = express()
app.use(clientCert({ authenticator: auth }))
app.get('/', (request, response) => response.json(clientIdentity(request)))

https.createServer(tlsServerOptions(auth, { key, cert }), app).listen(port, () => {
  console.log(`Express listens on https://localhost:${port}`)
})
