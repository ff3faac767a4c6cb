// Passkeys: a button asks the service for a challenge, the device for an answer, and sends that.
const error = document.querySelector("#passkey-error")

async function post(button, url, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": button.dataset.token, Accept: "application/json" }
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body ?? {}) })
  if (answer.redirected) return (location.href = answer.url, new Promise(() => {})) // to confirm who it is
  const data = await answer.json()
  if (!answer.ok) throw new Error(data.detail)
  return data
}

const ask = {
  add: async options =>
    navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
  use: async options =>
    navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
}

for (const button of document.querySelectorAll("button[data-passkey]")) {
  button.hidden = !window.PublicKeyCredential?.parseCreationOptionsFromJSON
  button.addEventListener("click", async () => {
    error.hidden = true
    try {
      const credential = await ask[button.dataset.passkey](await post(button, button.dataset.url))
      location.href = (await post(button, button.dataset.next, credential.toJSON())).next
    } catch (problem) {
      error.textContent = problem.message
      error.hidden = false
    }
  })
}
