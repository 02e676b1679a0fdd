// An OCSP responder that fails part of the time.
import { once } from 'node:events'
import http from 'node:http'
import { bounds, ocspResponse } from '../bench/fixtures.mjs'

const second = 1_000
/** How long its answers hold: while it fails, they end. */
const lifetime = 4 * second

/** What it does instead of answering, in turn. */
const faults = [
  (_response, request) => request.socket.destroy(),
  (response) => response.writeHead(500).end('no'),
  (response, _request, answer) => response.end(answer.subarray(0, answer.length >> 1)),
  () => {}, // never answers
  (response, _request, answer) => response.end(Buffer.from(answer).fill(0, answer.length - 40)),
]

/** Speaks for `authority`. Certificates whose serial number (upper-case hex) is in `revoked` are, all others are good. */
export async function startResponder(authority, revoked) {
  const state = {
    isFailing: false,
    answers: 0,
    failures: 0,
    /** Serial numbers that were answered since it recovered. */
    answered: new Set(),
    url: '',
    fail(isFailing) {
      state.isFailing = isFailing
      state.answered.clear()
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  const server = http.createServer(async (request, response) => {
    const chunks = []
    request.on('error', () => {})
    for await (const chunk of request) chunks.push(chunk)
    const { certId, serialNumber } = askedAbout(Buffer.concat(chunks))
    const now = Date.now()
    const isRevoked = revoked.has(serialNumber)
    const times = {
      thisUpdate: now,
      nextUpdate: now + lifetime,
      ...(isRevoked ? { revokedAt: now - 60 * second } : {}),
    }
    const answer = ocspResponse({ certId, ...times }, authority).response
    if (state.isFailing) faults[state.failures++ % faults.length](response, request, answer)
    else {
      state.answers++
      state.answered.add(serialNumber)
      response.setHeader('Content-Type', 'application/ocsp-response').end(answer)
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  state.url = `http://127.0.0.1:${server.address().port}/`
  return state
}

/** RFC 6960 §4.1.1: OCSPRequest → TBSRequest → requestList → Request → CertID, whose last element is the serial number. */
function askedAbout(der) {
  let at = 0
  for (let depth = 0; depth < 4; depth++) at = bounds(der, at).start
  const certId = der.subarray(at, bounds(der, at).end)
  let last = bounds(certId, 0).start
  while (bounds(certId, last).end < certId.length) last = bounds(certId, last).end
  const serial = certId.subarray(bounds(certId, last).start, bounds(certId, last).end)
  return {
    certId,
    serialNumber: serial
      .toString('hex')
      .toUpperCase()
      .replace(/^(00)+/, ''),
  }
}
