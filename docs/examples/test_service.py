"""A test of a Python service: `gce-auth exec --project my-project -- python3 -m unittest test_service`"""

import unittest

import google.auth
import google.auth.transport.requests


class Service(unittest.TestCase):
    def test_it_has_a_project_and_a_token(self):
        credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        credentials.refresh(google.auth.transport.requests.Request())
        self.assertEqual(project, "my-project")
        self.assertTrue(credentials.valid)


if __name__ == "__main__":
    unittest.main()
