// What a TLS-terminating proxy has to do (RFC 9440): remove what clients send, then say who the client is.
import http from 'node:http'
import https from 'node:https'

export function terminatingProxy({ key, cert }, upstreamPort) {
  // The proxy asks for a certificate and proves possession of its key. Whether it is any good, the server behind decides.
  const options = { key, cert, requestCert: true, rejectUnauthorized: false, ca: [] }
  return https.createServer(options, (incoming, outgoing) => {
    // Client-Cert, Client-Cert-Chain, and their look-alikes with _ or . for the hyphen.
    const isReserved = ([name]) => /^client[-_.]cert/.test(name)
    const headers = Object.fromEntries(Object.entries(incoming.headers).filter((field) => !isReserved(field)))
    delete headers.connection
    const certificate = incoming.socket.getPeerX509Certificate()
    if (certificate !== undefined) headers['client-cert'] = `:${certificate.raw.toString('base64')}:`

    const { method, url: path } = incoming
    const upstream = http.request({ host: '127.0.0.1', port: upstreamPort, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers)
      answer.pipe(outgoing)
    })
    upstream.on('error', () => outgoing.writeHead(502).end())
    incoming.pipe(upstream)
  })
}
