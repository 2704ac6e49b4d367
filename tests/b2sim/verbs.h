// One function a verb. Each returns the answer or throws a Refusal; bucket and capability have
// been checked before.
#pragma once

#include "tests/b2sim/call.h"

namespace b2sim {

// verbs_object.cpp
Answer put_object(Call& call);
Answer get_object(Call& call);  // and HEAD
Answer copy_object(Call& call);
Answer delete_object(Call& call);
Answer delete_objects(Call& call);

// verbs_bucket.cpp
Answer head_bucket(Call& call);
Answer list_objects_v2(Call& call);
Answer list_objects(Call& call);
Answer list_object_versions(Call& call);
Answer get_bucket_location(Call& call);
Answer get_bucket_versioning(Call& call);

// verbs_upload.cpp
Answer create_multipart_upload(Call& call);
Answer upload_part(Call& call);
Answer upload_part_copy(Call& call);
Answer complete_multipart_upload(Call& call);
Answer abort_multipart_upload(Call& call);
Answer list_parts(Call& call);
Answer list_multipart_uploads(Call& call);

}  // namespace b2sim
